// Whether this is built with AddressSanitizer, whose quarantine keeps what was freed.
#pragma once

namespace bgtask::e2e {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kUnderAsan = true;
#elif defined(__has_feature)
inline constexpr bool kUnderAsan = __has_feature(address_sanitizer);
#else
inline constexpr bool kUnderAsan = false;
#endif

}  // namespace bgtask::e2e
