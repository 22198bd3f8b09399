// The limits of this process that a supervisor may not be able to work under, in words with the remedy:
// "RLIMIT_AS is 20000000 bytes: raise it (ulimit -v), or limit the command alone (--limit as=…)".
#pragma once

#include <cstdint>
#include <string>

namespace bgtask::io {

/// The hard limits of memory that are below `bytes`; "" if there is none.
std::string memory_limits_below(uint64_t bytes);
/// The hard limit of the stack, if it is below what a supervisor needs; else "".
std::string small_stack_limit();
/// Describes the soft stack limit if arguments, environment and the caller's frames leave less of it than
/// `bytes`; else "". The kernel ends a program that outgrows its stack without a word.
std::string stack_left_below(uint64_t bytes);
/// The hard limit of the size of files, if there is one; else "".
std::string file_size_limit();

}  // namespace bgtask::io
