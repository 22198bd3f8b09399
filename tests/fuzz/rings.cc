// Ring files as somebody hostile may write them: read by a client, and continued by an adopter. The input's
// front says how it is read; then come four headers, then the data areas.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "protocol/io/unique_fd.h"
#include "protocol/ring/byte_ring.h"
#include "protocol/ring/format.h"
#include "protocol/ring/index_ring.h"
#include "protocol/ring/message_ring.h"
#include "protocol/ring/output_reader.h"
#include "protocol/ring/ring_view.h"
#include "tests/fuzz/fuzz_target.h"

using namespace bgtask;

namespace {

struct File {
  const char* name;
  ring::Kind kind;
};
constexpr std::array<File, 4> kFiles = {{{"index", ring::Kind::kIndex},
                                         {"stdout", ring::Kind::kBytes},
                                         {"stderr", ring::Kind::kBytes},
                                         {"data", ring::Kind::kMessages}}};
constexpr size_t kFirstLine = 64;
constexpr size_t kCountersSize = sizeof(ring::Header) - kFirstLine;

struct Plan {
  bool sound_first_lines;
  ring::Access access;
  uint64_t pages;
  uint64_t cursor, offset, count;
  uint32_t streams;
};

Plan plan_of(fuzz::Input& input) {
  const uint8_t flags = input.byte();
  const uint8_t shape = input.byte();
  return {(flags & 1) == 0,
          (flags & 2) != 0 ? ring::Access::kMap : ring::Access::kPread,
          uint64_t{1} + shape % 4,
          input.word(),
          input.word(),
          input.word(),
          static_cast<uint32_t>(shape >> 4)};
}

/// The line of a header that is written once. Nobody guesses a checksum, so most inputs are given a sound
/// one.
void write_first_line(std::string& header, ring::Kind kind, uint64_t capacity) {
  const uint32_t version = ring::kVersion;
  const uint64_t record = kind == ring::Kind::kIndex ? sizeof(ring::IndexRecord) : 1;
  std::memcpy(header.data(), ring::kMagic, sizeof ring::kMagic);
  std::memcpy(header.data() + 8, &version, sizeof version);
  std::memcpy(header.data() + 12, &kind, sizeof kind);
  std::memcpy(header.data() + 16, &capacity, sizeof capacity);
  std::memcpy(header.data() + 24, &record, sizeof record);
  const uint32_t checksum = ring::crc32(std::as_bytes(std::span(header.data(), 32)));
  std::memcpy(header.data() + 32, &checksum, sizeof checksum);
}

void write_files(int directory, const Plan& plan, fuzz::Input& input) {
  const uint64_t capacity = plan.pages * ring::kPage;
  std::array<std::string, 4> files;
  for (size_t i = 0; i < kFiles.size(); ++i) {
    files[i].resize(ring::kHeaderSize);
    const std::string_view line = plan.sound_first_lines ? std::string_view() : input.bytes(kFirstLine);
    std::copy(line.begin(), line.end(), files[i].begin());
    if (plan.sound_first_lines) write_first_line(files[i], kFiles[i].kind, capacity);
    const std::string_view counters = input.bytes(kCountersSize);
    std::copy(counters.begin(), counters.end(), files[i].begin() + kFirstLine);
  }
  for (size_t i = 0; i < kFiles.size(); ++i) {
    files[i] += input.bytes(i == 0 ? 256 : 64);  // records and frames first, the rest of the areas is zeros
    io::UniqueFd fd(::openat(directory, kFiles[i].name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    fuzz::require(
        ::write(fd.get(), files[i].data(), files[i].size()) == static_cast<ssize_t>(files[i].size()) &&
            ::ftruncate(fd.get(), static_cast<off_t>(ring::kHeaderSize + capacity)) == 0,
        "the files can be written");
  }
}

void check(const ring::Positions& positions) {
  fuzz::require(positions.start <= positions.consumed && positions.consumed <= positions.limit,
                "positions are in order whatever a header says");
}

void read_one(const ring::RingView& view, const Plan& plan) {
  check(view.positions());
  if (view.kind() == ring::Kind::kBytes) {
    const ring::ByteRead read = ring::read_bytes(view, plan.offset, plan.count);
    check(read.positions);
    fuzz::require(read.data.size() <= std::min(plan.count, view.capacity()),
                  "no more is read than there can be");
    fuzz::require(read.offset - plan.offset == read.missed, "what was missed is what was skipped");
  } else if (view.kind() == ring::Kind::kMessages) {
    const ring::MessageRead read = ring::read_messages(view, plan.offset, plan.count, ring::kMaxRead);
    check(read.positions);
    fuzz::require(read.messages.size() <= plan.count, "no more messages than asked for");
    for (size_t i = 0; i < read.messages.size(); ++i)
      fuzz::require(read.messages[i].offset == read.offset + i, "messages follow one another");
  }
}

void read_all(const std::array<ring::RingView, 4>& views, const Plan& plan) {
  const ring::OutputReader reader(views[0], views[1], views[2], views[3]);
  uint64_t cursor = plan.cursor;
  for (int page = 0; page < 4; ++page) {
    const ring::OutputBatch batch = reader.read(cursor, plan.streams, plan.count);
    uint64_t last = 0;
    for (const ring::OutputChunk& chunk : batch.chunks) {
      fuzz::require(chunk.data.size() <= ring::kMaxRecord, "a chunk is one record at most");
      if (ring::is_unrecorded(chunk.seq + 1)) continue;
      fuzz::require(chunk.seq > last && chunk.seq < batch.next, "records are in order and before the cursor");
      last = chunk.seq;
    }
    if (batch.next == cursor) break;
    cursor = batch.next;
  }
}

template <class Ring>
void write_some(Ring& target) {
  const std::string text(100, 'x');
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  if constexpr (std::is_same_v<Ring, ring::MessageRing>)
    target.append(bytes, 1);
  else
    target.append(bytes);
  target.consume(target.positions().limit);
  check(target.positions());
}

// What an adopter does with the rings of a dead supervisor.
void go_on(int directory) {
  std::array<std::optional<ring::Storage>, 4> storages;
  for (size_t i = 0; i < kFiles.size(); ++i) {
    auto storage = ring::Storage::open_file(directory, kFiles[i].name, kFiles[i].kind);
    if (!storage) return;
    storages[i].emplace(std::move(*storage));
  }
  ring::ByteRing out(std::move(*storages[1]), {});
  ring::ByteRing err(std::move(*storages[2]), {});
  ring::MessageRing data(std::move(*storages[3]), {});
  ring::IndexRing index(std::move(*storages[0]));
  index.reconcile(out, err, data, 1);
  write_some(out);
  write_some(err);
  write_some(data);
  const uint64_t next = index.next();
  fuzz::require(index.append(ring::StreamId::kStdout, 0, 0, 100, 1) >= next, "records are numbered upwards");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const io::UniqueFd directory(::open(fuzz::scratch().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  fuzz::Input input(data, size);
  const Plan plan = plan_of(input);
  write_files(directory.get(), plan, input);
  std::vector<ring::RingView> views;
  for (const File& file : kFiles) {
    auto view = ring::RingView::open(directory.get(), file.name, file.kind, plan.access);
    if (!view) continue;
    read_one(*view, plan);
    views.push_back(std::move(*view));
  }
  if (views.size() == kFiles.size()) {
    read_all({std::move(views[0]), std::move(views[1]), std::move(views[2]), std::move(views[3])}, plan);
    go_on(directory.get());
  }
  return 0;
}
