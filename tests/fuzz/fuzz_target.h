// What the fuzz targets share. Each target is one function over bytes; with libFuzzer it is called with what
// that comes upon, and in every other build replay.cc calls it with the files of the corpus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace bgtask::fuzz {

/// Ends the process with these words unless `holds`: that is how a finding is told.
void require(bool holds, const char* what);

/// The bytes of an input, taken from the front. What is missing reads as zeros.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  uint8_t byte() { return static_cast<uint8_t>(number(1)); }
  uint64_t word() { return number(8); }
  std::string_view bytes(size_t most);
  std::string_view rest() { return bytes(rest_.size()); }

 private:
  uint64_t number(size_t width);
  std::string_view rest_;
};

/// A directory in memory that is removed at the end of the process.
const std::filesystem::path& scratch();

}  // namespace bgtask::fuzz
