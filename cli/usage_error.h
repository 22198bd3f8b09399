// What the command line throws when it was used wrongly.
#pragma once

#include <stdexcept>
#include <string>

namespace bgtask::cli {

/// Wrong usage: the message goes to stderr, the exit status is kExitFailure. what() needs no escaping by the
/// thrower, the place that prints it escapes.
class UsageError : public std::runtime_error {
 public:
  explicit UsageError(const std::string& message) : std::runtime_error(message) {}
};

}  // namespace bgtask::cli
