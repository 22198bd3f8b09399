// Stands in for an OCI runtime: "… create --bundle DIR --pid-file FILE ID" starts the command in DIR/command
// (its words, each ended by a null) and writes its pid. All else succeeds and does nothing.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char* value_of(int argc, char** argv, const char* option) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (strcmp(argv[i], option) == 0) return argv[i + 1];
  }
  return NULL;
}

int main(int argc, char** argv) {
  static char words[65536];
  static char* command[256];
  char path[4096];
  const char* bundle = value_of(argc, argv, "--bundle");
  const char* pid_file = value_of(argc, argv, "--pid-file");
  if (!bundle || !pid_file) return 0;
  snprintf(path, sizeof path, "%s/command", bundle);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = read(fd, words, sizeof words);
  if (size <= 0 || words[size - 1] != '\0') return 1;
  int count = 0;
  for (char* word = words; word < words + size && count < 255; word += strlen(word) + 1)
    command[count++] = word;
  pid_t pid = fork();
  if (pid < 0) return 1;
  if (pid == 0) {
    signal(SIGPIPE, SIG_DFL);
    execvp(command[0], command);
    _exit(127);
  }
  FILE* file = fopen(pid_file, "w");
  if (!file) return 1;
  fprintf(file, "%d", pid);
  return fclose(file) == 0 ? 0 : 1;
}
