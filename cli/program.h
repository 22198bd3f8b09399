// The program over its verbs.
#pragma once

#include <string>
#include <vector>

namespace bgtask::cli {

/// Runs a command line (without the program's name) and returns the exit status. Everything that goes wrong
/// has been said on stderr.
int run_program(const std::vector<std::string>& arguments);

}  // namespace bgtask::cli
