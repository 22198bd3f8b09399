// A name that nobody else has and nobody can guess.
#pragma once

#include <string>

#include "protocol/wire/result.h"

namespace bgtask::io {

/// 128 bits from the kernel (getrandom(2)), as 32 hexadecimal digits.
Result<std::string> random_token();

}  // namespace bgtask::io
