#include "protocol/wire/launch.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <set>
#include <string>

#include "protocol/wire/codec.h"

namespace bgtask::wire {
namespace {

LaunchSpec sample() {
  LaunchSpec spec;
  spec.exec = {"/bin/echo", "", std::string("\xff\n", 2)};
  spec.env = {"A=1", "B=\xfe"};
  spec.cwd = "/srv";
  spec.umask = 027;
  spec.limits = {{"nofile", {100, UINT64_MAX}}};
  spec.user = UserSpec{"daemon", 1, 2, {2, 3}};
  spec.nice = -3;
  spec.meta = {{"name", "x"}};
  spec.behavior = "background";
  spec.in_place = InPlaceSpec{true, false};
  spec.lock_file = "/tmp/l";
  spec.timeout = 1.5;
  spec.stop_signal = SIGINT;
  spec.stop_grace = 0;
  spec.pool_path = "/run/p";
  return spec;
}

TEST(Launch, SurvivesTheJourney) {
  auto document = decode_msgpack(encode_msgpack(to_json(sample())), {32, 10000}).value();
  auto spec = launch_spec(document).value();
  EXPECT_EQ(to_json(spec), to_json(sample()));
  EXPECT_EQ(spec.exec, sample().exec);
  EXPECT_EQ(spec.limits.at("nofile").second, UINT64_MAX);
}

TEST(Launch, EveryMemberIsNeededButThoseThatCameLater) {
  const std::set<std::string> later = {"memory", "cpus",    "share_with",  "in_place",
                                       "token",  "timeout", "stop_signal", "stop_grace"};
  Json whole = to_json(sample());
  for (const auto& [key, value] : whole.items()) {
    Json part = whole;
    part.erase(key);
    EXPECT_EQ(launch_spec(part).has_value(), later.contains(key)) << key;
  }
}

// It becomes part of a file's name.
TEST(Launch, ATokenIsLettersAndDigits) {
  for (const char* token : {"../x", "a b", "a/b", "."}) {
    Json document = to_json(sample());
    document["token"] = token;
    EXPECT_FALSE(launch_spec(document)) << token;
  }
}

TEST(Launch, StopPlanIsCheckedAndHasDefaults) {
  Json document = to_json(sample());
  for (const char* key : {"timeout", "stop_signal", "stop_grace"})
    document.erase(key);
  const LaunchSpec older = launch_spec(document).value();
  EXPECT_EQ(older.timeout, std::nullopt);
  EXPECT_EQ(older.stop_signal, SIGTERM);
  EXPECT_EQ(older.stop_grace, std::nullopt);
  const std::pair<const char*, Json> wrong[] = {
      {"timeout", 0},      {"timeout", -1},    {"timeout", 4e9},    {"timeout", "1"},    {"stop_grace", -0.1},
      {"stop_grace", 4e9}, {"stop_signal", 0}, {"stop_signal", 65}, {"stop_signal", 1.5}};
  for (const auto& [key, value] : wrong) {
    Json request = to_json(sample());
    request[key] = value;
    EXPECT_FALSE(launch_spec(request)) << key << " " << value;
  }
}

TEST(Launch, ANumberThatIsNotWholeIsRefused) {
  for (const char* key : {"umask", "nice", "buffer", "retain", "memory", "adopt"}) {
    for (double number : {5e90, -1e300, 0.5}) {
      Json document = to_json(sample());
      document[key] = number;
      EXPECT_FALSE(launch_spec(document)) << key << " " << number;
    }
  }
}

TEST(Launch, AnotherVersionIsToldApart) {
  Json document = to_json(sample());
  document["launch"] = 2;
  EXPECT_EQ(launch_spec(document).error().code, ErrorCode::kVersionMismatch);
}

TEST(Launch, ResourceNames) {
  EXPECT_EQ(resource_number("nofile"), RLIMIT_NOFILE);
  EXPECT_EQ(resource_number("core"), RLIMIT_CORE);
  EXPECT_FALSE(resource_number("NOFILE").has_value());
  EXPECT_FALSE(resource_number("").has_value());
}

}  // namespace
}  // namespace bgtask::wire
