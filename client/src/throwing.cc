#include "client/src/throwing.h"

#include <string>

namespace bgtask {

Error to_error(Failure failure) {
  std::string code(word(failure.code));
  if (failure.data.is_object()) {
    const auto exact = failure.data.find("error");
    if (exact != failure.data.end() && exact->is_string()) code = exact->get<std::string>();
  }
  return Error(std::move(code), failure.message, failure.os_error, std::move(failure.data));
}

bool Error::retryable() const noexcept {
  for (const char* code :
       {"busy", "unresponsive", "would_block", "no_space", "too_many_files", "process_limit", "no_memory"}) {
    if (code_ == code) return true;
  }
  return false;
}

}  // namespace bgtask
