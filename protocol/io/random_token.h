// A unique name that cannot be guessed.
#pragma once

#include <string>

#include "protocol/wire/result.h"

namespace bgtask::io {

/// 128 bits from the kernel (getrandom(2)), as 32 hexadecimal digits.
Result<std::string> random_token();

}  // namespace bgtask::io
