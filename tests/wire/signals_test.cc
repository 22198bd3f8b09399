#include "protocol/wire/signals.h"

#include <gtest/gtest.h>

#include <csignal>

namespace bgtask::wire {
namespace {

TEST(Signals, NamesInEveryForm) {
  for (const char* name : {"TERM", "SIGTERM", "term", "SigTerm"}) {
    EXPECT_EQ(signal_number(std::string_view(name)), SIGTERM) << name;
  }
  EXPECT_EQ(signal_number(std::string_view("RTMIN")), 34);
  EXPECT_EQ(signal_number(std::string_view("SIGRTMIN+3")), 37);
  EXPECT_EQ(signal_number(std::string_view("RTMAX")), 64);
  EXPECT_EQ(signal_number(std::string_view("RTMAX-1")), 63);
  EXPECT_EQ(signal_number(std::string_view("POLL")), SIGIO);
}

TEST(Signals, NonsenseHasNone) {
  for (const char* name : {"", "SIG", "9", "TERMINATE", "RTMIN+", "RTMIN+31", "RTMIN-1", "RTMAX+1",
                           "RTMAX-31", "RTMIN+x", "RTMIN+-1"}) {
    EXPECT_FALSE(signal_number(std::string_view(name)).has_value()) << name;
  }
  for (const Json& value :
       {Json(0), Json(65), Json(-1), Json(UINT64_MAX), Json(1.0), Json(nullptr), Json(true)}) {
    EXPECT_FALSE(signal_number(value).has_value()) << value;
  }
}

TEST(Signals, EveryNumberGoesThereAndBack) {
  for (int number = 1; number <= 64; ++number) {
    EXPECT_EQ(signal_number(Json(number)), number);
    if (number == 32 || number == 33) continue;  // glibc's own have no name
    EXPECT_EQ(signal_number(std::string_view(signal_name(number))), number) << signal_name(number);
  }
}

}  // namespace
}  // namespace bgtask::wire
