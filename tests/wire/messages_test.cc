// Messages as structs: what they become, and that they and the method table say the same.
#include "protocol/wire/messages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace bgtask::wire {
namespace {

template <class Request>
void expect_as_in_table() {
  const auto all = methods();
  const auto method =
      std::find_if(all.begin(), all.end(), [](const Method& one) { return one.id == Request::kMethod; });
  ASSERT_NE(method, all.end());
  const std::vector<MemberName> members = members_of<Request>();
  ASSERT_EQ(members.size(), method->params.size()) << method->name;
  for (const Param& param : method->params) {
    const auto member = std::find_if(members.begin(), members.end(),
                                     [&](const MemberName& one) { return one.key == param.name; });
    ASSERT_NE(member, members.end()) << method->name << " has no member for '" << param.name << "'";
    EXPECT_EQ(member->required, param.required) << method->name << '.' << param.name;
  }
}

template <size_t... Index>
void expect_all_as_in_table(std::index_sequence<Index...>) {
  (expect_as_in_table<std::variant_alternative_t<Index, AnyRequest>>(), ...);
}

TEST(Messages, HaveExactlyTheParametersOfTheMethodTable) {
  EXPECT_EQ(methods().size(), std::variant_size_v<AnyRequest>);
  expect_all_as_in_table(std::make_index_sequence<std::variant_size_v<AnyRequest>>());
}

// Every member gets through: a document that sets all of them comes back as it was, and the table takes it.
template <class Request>
void expect_round_trip(const Json& params) {
  const auto& method = methods()[static_cast<size_t>(Request::kMethod)];
  ASSERT_EQ(method.id, Request::kMethod);
  EXPECT_TRUE(validate(method, params)) << params;
  EXPECT_EQ(params.size(), members_of<Request>().size()) << method.name << ": all members are set";
  EXPECT_EQ(encode(decode<Request>(params)), params) << method.name;
  EXPECT_TRUE(std::holds_alternative<Request>(decode_request(Request::kMethod, params)));
}

TEST(Messages, RequestsComeBackAsTheyWere) {
  expect_round_trip<PingRequest>(Json::object());
  expect_round_trip<MethodsRequest>(Json::object());
  expect_round_trip<InfoRequest>(Json::object());
  expect_round_trip<ApplyMetaRequest>({{"meta", {{"a", {{"b", nullptr}}}}}});
  expect_round_trip<KillRequest>({{"signal", 15}, {"scope", "tree"}});
  expect_round_trip<PauseRequest>({{"pause", false}});
  expect_round_trip<ResumeRequest>(Json::object());
  expect_round_trip<RestartRequest>({{"force", true}});
  expect_round_trip<StopRequest>({{"grace", 0.5}, {"signal", 2}});
  expect_round_trip<DeleteRequest>({{"grace", 0.5}, {"collect", true}});
  expect_round_trip<StreamInfoRequest>({{"stream", "stderr"}});
  expect_round_trip<ReadRequest>(
      {{"stream", "data"}, {"offset", 0}, {"count", INT64_MAX}, {"peek", true}, {"discard", true}});
  expect_round_trip<OutputRequest>({{"cursor", 7}, {"streams", {"stdout", "data"}}, {"max_bytes", 100}});
  expect_round_trip<WriteRequest>({{"stream", "stdin"}, {"data", binary_value("\xff")}, {"follows", true}});
  expect_round_trip<CloseRequest>({{"stream", "stdin"}, {"immediate", true}});
  expect_round_trip<WaitRequest>(
      {{"for", {"output", "eof"}}, {"cursor", 5}, {"timeout", 1.5}, {"status", false}});
  expect_round_trip<SubscribeRequest>(
      {{"events", {"output", "meta"}}, {"cursor", 5}, {"streams", {"stderr"}}});
  expect_round_trip<UnsubscribeRequest>(Json::object());
}

TEST(Messages, DefaultsOfRequestsAreLeftOut) {
  EXPECT_EQ(encode(KillRequest{}), Json::object());
  EXPECT_EQ(encode(WaitRequest{}), Json::object());
  EXPECT_EQ(encode(DeleteRequest{}), Json::object());
  EXPECT_EQ(encode(OutputRequest{}), Json::object());
  EXPECT_EQ(encode(ReadRequest{.stream = {1}}), (Json{{"stream", "stdout"}}));
}

TEST(Messages, WhatIsLeftOutHasItsDefault) {
  const auto kill = decode<KillRequest>(Json::object());
  EXPECT_EQ(kill.signal.number, SIGKILL);
  EXPECT_EQ(kill.scope, SignalScope::kGroup);
  const auto wait = decode<WaitRequest>(Json::object());
  EXPECT_EQ(wait.events, WaitEvents{.exit = true});
  EXPECT_TRUE(wait.status);
  EXPECT_FALSE(wait.timeout);
  EXPECT_EQ(decode<OutputRequest>(Json::object()).streams.bits, StreamSet::kAll);
}

TEST(Messages, FormsOfOneValueAreOne) {
  EXPECT_EQ(decode<KillRequest>({{"signal", "SIGTERM"}}).signal.number, SIGTERM);
  EXPECT_EQ(decode<ReadRequest>({{"stream", 2}}).stream.number, 2);
  EXPECT_EQ(decode<OutputRequest>({{"streams", {1, "data"}}}).streams.bits, 1u << 1 | 1u << 3);
  for (const Json& data : {Json("abc"), binary_value("abc"), Json{{"base64", "YWJj"}}})
    EXPECT_EQ(decode<WriteRequest>({{"stream", 0}, {"data", data}}).data.view(), "abc") << data;
}

TEST(Messages, RepliesComeBackAsTheyWere) {
  const Json counters{{"missed", 1}, {"start", 2},  {"consumed", 3}, {"limit", 4},
                      {"lost", 5},   {"gap", true}, {"eof", true},   {"taken", 1}};
  Json read = counters;
  read.update({{"offset", 9}, {"data", binary_value("text")}});
  EXPECT_EQ(encode(decode<ReadReply>(read)), read);
  Json messages = counters;
  messages.update(
      {{"offset", 9}, {"messages", {{{"offset", 9}, {"time", 1.5}, {"data", binary_value("")}}}}});
  EXPECT_EQ(encode(decode<ReadReply>(messages)), messages);
  const Json output{
      {"chunks",
       {{{"seq", 1}, {"time", 1.5}, {"stream", "stderr"}, {"offset", 7}, {"data", binary_value("x")}},
        {{"seq", 2}, {"time", nullptr}, {"stream", "stdout"}, {"offset", 0}, {"data", binary_value("y")}}}},
      {"next", 2},
      {"lost", {{"stdout", 1}, {"stderr", 2}, {"data", 3}}},
      {"taken", {{"stdout", 4}, {"stderr", 5}, {"data", 6}}},
      {"gap", {{"stdout", true}, {"stderr", false}, {"data", true}}},
      {"eof", true}};
  EXPECT_EQ(encode(decode<OutputReply>(output)), output);
  for (const Json& reply :
       {Json{{"restarted", true}, {"child_pid", 5}}, Json{{"restarted", false}, {"child_pid", nullptr}}}) {
    EXPECT_EQ(encode(decode<RestartReply>(reply)), reply);
  }
  const Json receipt{{"signalled", 3}, {"exited", 1}, {"killed", 2}, {"survivors", {10, 11}}};
  EXPECT_EQ(encode(decode<Receipt>(receipt)), receipt);
  EXPECT_EQ(encode(WaitReply{"exit", 7, std::nullopt}), (Json{{"fired", "exit"}, {"next", 7}}));
  EXPECT_EQ(encode(PingReply{}), "pong");
  EXPECT_EQ(encode(TrueReply{}), true);
}

TEST(Messages, NothingInAReplyIsTrusted) {
  for (const Json& nonsense : {Json(), Json(1), Json("text"), Json::array({1}), Json::object()}) {
    const Json whole{{"offset", nonsense}, {"data", nonsense}, {"limit", nonsense}, {"eof", nonsense}};
    for (const Json& document : {nonsense, whole}) {
      const auto reply = decode<ReadReply>(document);
      EXPECT_FALSE(reply.eof) << document;
    }
    decode<OutputReply>({{"chunks", {nonsense}}, {"lost", nonsense}});
    decode<Receipt>({{"survivors", {nonsense}}});
  }
  EXPECT_EQ(decode<SignalledReply>({{"signalled", -1}}).signalled, 0u);
}

// Keys that mean nothing but a member of a message. Others are also keys of documents.
TEST(Messages, KeysAreInWireOnly) {
  const std::vector<std::string> keys = {"accepted", "chunks",    "collect",   "discard",  "fired",
                                         "follows",  "immediate", "max_bytes", "missed",   "peek",
                                         "room",     "signalled", "survivors", "restarted"};
  // Of an error that names a parameter.
  const std::vector<std::string> allowed = {"bad_parameter(\"discard\""};
  for (const char* folder : {"client/src", "supervisor"}) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::filesystem::path(BGTASK_SOURCES) / folder)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path());
      std::string text(std::istreambuf_iterator<char>(file), {});
      for (const std::string& one : allowed) {
        if (const size_t at = text.find(one); at != std::string::npos) text.erase(at, one.size());
      }
      for (const std::string& key : keys) {
        EXPECT_EQ(text.find('"' + key + '"'), std::string::npos)
            << entry.path() << " spells the key \"" << key << "\" of a message";
      }
    }
  }
}

TEST(Messages, EventsNameTheirKind) {
  const Json event = encode_event(ExitEvent{{{"state", "exited"}}, 2});
  EXPECT_EQ(event["method"], "event");
  EXPECT_EQ(event["params"], (Json{{"event", "exit"}, {"status", {{"state", "exited"}}}, {"runs", 2}}));
  EXPECT_EQ(event_kind(event["params"]), "exit");
  EXPECT_EQ(event_kind(Json::array()), "");
  const Json stream = encode_event(StreamEvent{{2}, true, std::nullopt});
  EXPECT_EQ(
      stream["params"],
      (Json{{"event", "stream"}, {"stream", "stderr"}, {"eof", true}, {"gap", false}, {"error", nullptr}}));
}

}  // namespace
}  // namespace bgtask::wire
