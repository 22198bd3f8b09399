#include "protocol/ring/output_cursor.h"

#include <cstddef>

namespace bgtask::ring {
namespace {

constexpr std::array<unsigned, 3> kBits = {18, 18, 16};
static_assert(kBits[0] + kBits[1] + kBits[2] == 52);

constexpr uint64_t mask(size_t slot) {
  return (uint64_t{1} << kBits[slot]) - 1;
}

}  // namespace

uint64_t unrecorded_cursor(const Totals& totals) {
  uint64_t packed = 0;
  for (size_t slot = 0; slot < totals.size(); ++slot)
    packed = packed << kBits[slot] | (totals[slot] / kUnrecordedUnits[slot] & mask(slot));
  return kFirstUnrecordedCursor | packed;
}

Totals totals_of(uint64_t cursor, const Totals& limits) {
  Totals totals{};
  for (size_t slot = totals.size(); slot-- > 0; cursor >>= kBits[slot]) {
    const uint64_t units = limits[slot] / kUnrecordedUnits[slot];
    const uint64_t behind = (units - cursor) & mask(slot);
    // Less than one round has been written: what seems to lie before the beginning is no cursor of ours.
    totals[slot] = behind <= units ? (units - behind) * kUnrecordedUnits[slot] : 0;
  }
  return totals;
}

}  // namespace bgtask::ring
