// The boundary at which failures become exceptions.
#pragma once

#include <bgtask/error.h>

#include <utility>

#include "protocol/wire/result.h"

namespace bgtask {

/// The word is the one in the error reply, where there is one: a newer supervisor may know more words than we
/// do.
Error to_error(Failure failure);

[[noreturn]] inline void throw_failure(Failure failure) {
  throw to_error(std::move(failure));
}

template <class T>
T value_or_throw(Result<T>&& result) {
  if (!result) throw_failure(std::move(result).error());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace bgtask
