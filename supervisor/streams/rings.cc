#include "supervisor/streams/rings.h"

#include <algorithm>
#include <ctime>
#include <utility>
#include <vector>

#include "protocol/taskdir/names.h"

namespace bgtask::supervisor {
namespace {

ring::Geometry geometry_of(const wire::LaunchSpec& spec) {
  return {std::max(spec.buffer, spec.retain), spec.retain,
          spec.overflow_block ? ring::Overflow::kBlock : ring::Overflow::kDrop};
}

Result<ring::Storage> new_storage(int directory, const wire::LaunchSpec& spec, const char* name,
                                  ring::Kind kind, uint64_t capacity) {
  if (spec.rings_in_memory) return ring::Storage::create_memory(kind, capacity);
  return ring::Storage::create_file(directory, name, kind, capacity);
}

using Storages = std::vector<ring::Storage>;

std::unique_ptr<Rings> assemble(Storages storages, ring::Geometry geometry) {
  return std::unique_ptr<Rings>(new Rings{
      ring::ByteRing(std::move(storages[0]), geometry), ring::ByteRing(std::move(storages[1]), geometry),
      ring::MessageRing(std::move(storages[2]), geometry), ring::IndexRing(std::move(storages[3])),
      geometry.overflow == ring::Overflow::kBlock});
}

struct Wanted {
  const char* name;
  ring::Kind kind;
  uint64_t capacity;
};

std::vector<Wanted> wanted_rings(const ring::Geometry& geometry) {
  uint64_t messages = ring::MessageRing::capacity_for(geometry.capacity);
  return {
      {taskdir::ring_name(StreamId::kStdout), ring::Kind::kBytes, geometry.capacity},
      {taskdir::ring_name(StreamId::kStderr), ring::Kind::kBytes, geometry.capacity},
      {taskdir::ring_name(StreamId::kData), ring::Kind::kMessages, messages},
      {taskdir::kIndex, ring::Kind::kIndex, ring::IndexRing::capacity_for(2 * geometry.capacity + messages)}};
}

// What was taken in after the last status is not counted, unless the stream was at its end then.
void continue_stream(Rings& rings, StreamId stream, const taskdir::StreamPart& published) {
  if (published.positions.eof)
    rings.set_eof(stream, true);
  else
    rings.set_gap(stream);
}

}  // namespace

uint64_t wall_clock_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

Result<std::unique_ptr<Rings>> Rings::create(int directory, const wire::LaunchSpec& spec) {
  ring::Geometry geometry = geometry_of(spec);
  Storages storages;
  for (const Wanted& wanted : wanted_rings(geometry)) {
    auto storage = new_storage(directory, spec, wanted.name, wanted.kind, wanted.capacity);
    if (!storage) return fail(std::move(storage).error());
    storages.push_back(std::move(*storage));
  }
  return assemble(std::move(storages), geometry);
}

Result<std::unique_ptr<Rings>> Rings::take_over(int directory, const wire::LaunchSpec& spec,
                                                const taskdir::StatusDocument& published) {
  if (spec.rings_in_memory) {
    auto rings = create(directory, spec);
    if (!rings) return rings;
    // What was not consumed went with the memory.
    const auto lost = [](const ring::Positions& last) {
      return last.lost + (last.limit - std::min(last.limit, last.consumed));
    };
    (*rings)->out.begin_at(published.out.positions.limit, lost(published.out.positions));
    (*rings)->err.begin_at(published.err.positions.limit, lost(published.err.positions));
    (*rings)->data.begin_at(published.data.positions.limit, lost(published.data.positions));
    continue_stream(**rings, StreamId::kStdout, published.out);
    continue_stream(**rings, StreamId::kStderr, published.err);
    continue_stream(**rings, StreamId::kData, published.data);
    (*rings)->index.reconcile((*rings)->out, (*rings)->err, (*rings)->data, wall_clock_ns());
    return rings;
  }
  ring::Geometry geometry = geometry_of(spec);
  Storages storages;
  for (const Wanted& wanted : wanted_rings(geometry)) {
    auto storage = ring::Storage::open_file(directory, wanted.name, wanted.kind);
    if (!storage) return fail(std::move(storage).error());
    storages.push_back(std::move(*storage));
  }
  auto rings = assemble(std::move(storages), geometry);
  rings->index.reconcile(rings->out, rings->err, rings->data, wall_clock_ns());
  return rings;
}

ring::Positions Rings::positions(StreamId stream) const {
  if (stream == StreamId::kData) return data.positions();
  return (stream == StreamId::kStdout ? out : err).positions();
}

uint64_t Rings::capacity(StreamId stream) const {
  if (stream == StreamId::kData) return data.capacity();
  return (stream == StreamId::kStdout ? out : err).capacity();
}

void Rings::consume(StreamId stream, uint64_t end) {
  if (stream == StreamId::kData) return data.consume(end);
  (stream == StreamId::kStdout ? out : err).consume(end);
}

void Rings::discard(StreamId stream, uint64_t end) {
  if (stream == StreamId::kData) return data.discard(end);
  (stream == StreamId::kStdout ? out : err).discard(end);
}

void Rings::set_eof(StreamId stream, bool eof) {
  if (stream == StreamId::kData) return data.set_eof(eof);
  (stream == StreamId::kStdout ? out : err).set_eof(eof);
}

void Rings::set_gap(StreamId stream) {
  if (stream == StreamId::kData) return data.set_gap();
  (stream == StreamId::kStdout ? out : err).set_gap();
}

void Rings::set_error(StreamId stream, int error) {
  if (stream == StreamId::kData) return data.set_error(error);
  (stream == StreamId::kStdout ? out : err).set_error(error);
}

}  // namespace bgtask::supervisor
