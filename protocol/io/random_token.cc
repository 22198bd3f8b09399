#include "protocol/io/random_token.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace bgtask::io {

Result<std::string> random_token() {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<uint8_t, 16> bytes{};
  ssize_t n = 0;
  do {
    n = ::getrandom(bytes.data(), bytes.size(), 0);
  } while (n < 0 && errno == EINTR);
  if (n != static_cast<ssize_t>(bytes.size())) return fail_errno("cannot get random bytes", errno);
  std::string token;
  for (uint8_t byte : bytes) {
    token += kDigits[byte >> 4];
    token += kDigits[byte & 15];
  }
  return token;
}

}  // namespace bgtask::io
