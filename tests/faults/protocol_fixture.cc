#include "tests/faults/protocol_fixture.h"

#include <algorithm>

#include "protocol/wire/methods.h"

namespace bgtask::faults {

// The sanitizer's quarantine keeps freed memory.
constexpr int64_t kQuarantineKib = e2e::kUnderAsan ? 512 * 1024 : 0;  // after a million frames

void ProtocolFaultTest::SetUp() {
  ASSERT_NO_FATAL_FAILURE(FaultTest::SetUp());
  task_.emplace(spawn({.exec = command(), .meta = {{"name", "attacked"}}}));
  // One-time allocations of the first client and of the first request of each kind are no leak.
  for (const Encoding encoding : kEncodings) {
    const auto first = connect(encoding);
    first->result("ping");
    first->result("methods");
  }
  polite_ = connect();
  child_ = polite_->result("info")["child_pid"];
  before_ = settled_footprint_of(task_->pid());
  peak_before_ = e2e::process_number(task_->pid(), "VmHWM");
}

void ProtocolFaultTest::TearDown() {
  polite_.reset();
  task_.reset();
  FaultTest::TearDown();
}

std::unique_ptr<RawClient> ProtocolFaultTest::connect(Encoding encoding) const {
  return std::make_unique<RawClient>(socket_of(*task_), encoding);
}

void ProtocolFaultTest::expect_served() {
  ASSERT_FALSE(e2e::gone(task_->pid())) << "the supervisor died";
  ASSERT_EQ(polite_->result("ping"), "pong");
  const Json info = polite_->result("info");
  ASSERT_EQ(info["pid"], task_->pid());
  ASSERT_EQ(info["child_pid"], child_);
  ASSERT_EQ(info["status"]["running"], true);
  ASSERT_EQ(e2e::error_word(polite_->call("read", {{"stream", "stdout"}, {"offset", -1}})), "bad_argument");
  ASSERT_EQ(polite_->result("wait", {{"timeout", 0}})["fired"], "timeout");
}

void ProtocolFaultTest::expect_nothing_left() {
  EXPECT_TRUE(eventually([&] { return polite_->result("info")["clients"] == 1; }, Milliseconds(10'000)));
  std::string differs;
  EXPECT_TRUE(eventually(
      [&] {
        Footprint now = footprint_of(task_->pid());
        if (e2e::kUnderAsan) now.resident_kib = before_.resident_kib;
        differs = difference(before_, now);
        return differs.empty();
      },
      Milliseconds(10'000)))
      << differs;
}

void ProtocolFaultTest::expect_memory_below(int64_t mebibytes) {
  EXPECT_LE(e2e::process_number(task_->pid(), "VmHWM"), peak_before_ + mebibytes * 1024 + kQuarantineKib);
}

std::string ProtocolFaultTest::encode(Encoding encoding, const Json& document) {
  if (encoding == Encoding::kJson) return document.dump() + "\n";
  const std::vector<uint8_t> packed = Json::to_msgpack(document);
  return std::string(packed.begin(), packed.end());
}

std::string ProtocolFaultTest::request_text(Encoding encoding, std::string_view method, const Json& params,
                                            const Json& id) {
  return encode(encoding, {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
}

std::vector<Sample> harmless_requests(Encoding encoding) {
  std::vector<Sample> samples = {
      {"ping", Json::object()},
      {"methods", Json::object()},
      {"info", Json::object()},
      {"apply_meta", {{"meta", {{"nested", {{"gone", nullptr}}}}}}},
      {"kill", {{"signal", "NONSENSE"}, {"scope", "process"}}},
      {"pause", {{"pause", false}}},
      {"resume", Json::object()},
      {"restart", {{"force", false}}},
      {"stop", {{"grace", 0.5}, {"signal", "NONSENSE"}}},
      {"delete", {{"grace", "soon"}, {"collect", false}}},
      {"stream_info", {{"stream", "data"}}},
      {"read", {{"stream", "stdout"}, {"offset", 0}, {"count", 100}, {"peek", true}}},
      {"output", {{"cursor", 1}, {"streams", {"stdout", "data"}}, {"max_bytes", 1000}}},
      {"write", {{"stream", 0}, {"data", e2e::bytes_value("\xff\n", encoding)}}},
      {"close", {{"stream", "stdout"}, {"immediate", false}}},
      {"wait", {{"for", {"exit", "eof"}}, {"cursor", 5}, {"timeout", 0.001}}},
      {"subscribe", {{"events", {"exit", "meta"}}, {"cursor", 3}}},
      {"unsubscribe", Json::object()}};
  for (const wire::Method& method : wire::methods()) {
    const bool sampled = std::any_of(samples.begin(), samples.end(),
                                     [&](const Sample& sample) { return sample.method == method.name; });
    EXPECT_TRUE(sampled) << method.name << " has no sample";
  }
  return samples;
}

}  // namespace bgtask::faults
