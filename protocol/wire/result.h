// Failures inside the project are values. Exceptions are thrown at one place only, the boundary of the
// client library, because none may unwind through the C frames of the event loop.
#pragma once

#include <cstring>
#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "protocol/wire/error_code.h"
#include "protocol/wire/json.h"

namespace bgtask {

/// Why a call failed: the word for programs, a sentence for people that names the thing and the remedy, the
/// errno of the kernel (else 0), and details for the error reply.
struct Failure {
  ErrorCode code = ErrorCode::kBadArgument;
  std::string message;
  int os_error = 0;
  Json data = nullptr;
};

/// A value or a Failure. `if (!r) return fail(std::move(r).error());` passes a failure on.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Failure> {
 public:
  using tl::expected<T, Failure>::expected;
};

using Status = Result<void>;

inline tl::unexpected<Failure> fail(Failure failure) {
  return tl::unexpected<Failure>(std::move(failure));
}

inline tl::unexpected<Failure> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Failure>(Failure{code, std::move(message), 0, nullptr});
}

/// A failed system call: the sentence gets ": TEXT OF ERRNO" appended; the word follows from the errno
/// (ENOSPC is no_space, EMFILE too_many_files, …) unless `fallback` is more exact.
tl::unexpected<Failure> fail_errno(std::string what, int os_error,
                                   ErrorCode fallback = ErrorCode::kBadArgument);

}  // namespace bgtask
