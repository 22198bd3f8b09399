// The child of every measurement of output: writes to its stdout and keeps the times itself, so that they are
// the same whoever takes its output. RESULT appears whole when it is done: "begin end cpu bytes" (ns, bytes).
//
// It begins at BEGIN (monotonic ns), or at once where that is past.
//
//   output_writer RESULT BEGIN bytes PIECE TOTAL          TOTAL bytes in writes of PIECE
//   output_writer RESULT BEGIN until PIECE END            as many as it can until END
//   output_writer RESULT BEGIN work PIECE COUNT MICROS    COUNT writes, so much computing before each
//   output_writer RESULT BEGIN ticks COUNT MICROS         COUNT lines with the time of their writing, so far
//   apart
#include "common.h"

enum { kLine = 100, kTick = 21 };

static char* text(size_t length) {
  char* bytes = malloc(length);
  if (bytes == NULL) die("malloc");
  memset(bytes, 'x', length);
  for (size_t i = kLine - 1; i < length; i += kLine)
    bytes[i] = '\n';
  bytes[length - 1] = '\n';
  return bytes;
}

static void pause_ns(uint64_t ns) {
  struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
  nanosleep(&time, NULL);
}

static void compute(uint64_t ns) {
  const uint64_t end = cpu_ns() + ns;
  while (cpu_ns() < end) {
  }
}

static void tick(void) {
  char line[32];
  const int length = snprintf(line, sizeof line, "%020llu\n", (unsigned long long)now_ns());
  write_all(1, line, (size_t)length);
}

static void report(const char* result, uint64_t begin, uint64_t end, uint64_t cpu, uint64_t bytes) {
  char draft[4096];
  snprintf(draft, sizeof draft, "%s.draft", result);
  FILE* file = fopen(draft, "w");
  if (file == NULL) die(draft);
  fprintf(file, "%llu %llu %llu %llu\n", (unsigned long long)begin, (unsigned long long)end,
          (unsigned long long)cpu, (unsigned long long)bytes);
  if (fclose(file) != 0 || rename(draft, result) != 0) die(result);
}

static uint64_t number(int argc, char** argv, int i) {
  return i < argc ? strtoull(argv[i], NULL, 10) : 0;
}

int main(int argc, char** argv) {
  if (argc < 6) return 2;
  const char* mode = argv[3];
  const uint64_t a = number(argc, argv, 4);
  const uint64_t b = number(argc, argv, 5);
  const uint64_t micros = number(argc, argv, 6);
  const uint64_t wanted = number(argc, argv, 2);
  const size_t piece = strcmp(mode, "ticks") == 0 ? kLine : a;
  char* bytes = text(piece);
  uint64_t written = 0;

  const uint64_t now = now_ns();
  if (now < wanted) pause_ns(wanted - now);
  const uint64_t cpu = cpu_ns();
  const uint64_t begin = now_ns();
  if (strcmp(mode, "bytes") == 0) {
    for (; written < b; written += piece)
      write_all(1, bytes, piece);
  } else if (strcmp(mode, "until") == 0) {
    for (; now_ns() < b; written += piece)
      write_all(1, bytes, piece);
  } else if (strcmp(mode, "work") == 0) {
    for (uint64_t i = 0; i < b; ++i, written += piece) {
      compute(micros * 1000);
      write_all(1, bytes, piece);
    }
  } else if (strcmp(mode, "ticks") == 0) {
    for (uint64_t i = 0; i < a; ++i, written += kTick) {
      pause_ns(b * 1000);
      tick();
    }
  } else {
    return 2;
  }
  const uint64_t end = now_ns();
  report(argv[1], begin, end, cpu_ns() - cpu, written);
  return 0;
}
