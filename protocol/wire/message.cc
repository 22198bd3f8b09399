#include "protocol/wire/message.h"

#include <optional>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"

namespace bgtask::wire {
namespace {

tl::unexpected<Failure> not_a_request(const char* why) {
  return fail(ErrorCode::kInvalidRequest, std::string("not a JSON-RPC 2.0 request: ") + why);
}

constexpr int kServerError = -32000;

std::optional<ErrorCode> standard_code(const Json& number) {
  for (ErrorCode code : {ErrorCode::kParseError, ErrorCode::kInvalidRequest, ErrorCode::kUnknownMethod}) {
    if (number == rpc_number(code)) return code;
  }
  return std::nullopt;
}

// A string that is not UTF-8 could not come back as it was.
bool is_id(const Json& id) {
  if (!id.is_string()) return id.is_null() || id.is_number_integer();
  const auto& text = id.get_ref<const std::string&>();
  return text.size() <= kMaxId && is_utf8(text);
}

tl::unexpected<Failure> unknown_member(const std::string& name) {
  return fail(ErrorCode::kInvalidRequest,
              "not a JSON-RPC 2.0 request: it has no member \"" + printable_name(name) + "\"");
}

}  // namespace

Result<Request> parse_request(Json& document) {
  if (document.is_array()) return not_a_request("batches are not taken");
  if (!document.is_object()) return not_a_request("it is not an object");
  Json *version = nullptr, *id = nullptr, *method = nullptr, *params = nullptr;
  for (auto& [name, value] : document.get_ref<Json::object_t&>()) {
    Json** member = name == "jsonrpc"  ? &version
                    : name == "id"     ? &id
                    : name == "method" ? &method
                    : name == "params" ? &params
                                       : nullptr;
    if (member == nullptr) return unknown_member(name);
    *member = &value;
  }
  if (version == nullptr || *version != "2.0") return not_a_request("\"jsonrpc\" must be \"2.0\"");
  if (method == nullptr || !method->is_string()) return not_a_request("\"method\" must be a string");
  if (id != nullptr && !is_id(*id))
    return not_a_request("\"id\" must be an integer, a UTF-8 string of at most 256 bytes or null");
  if (params != nullptr && !params->is_object())
    return not_a_request("\"params\" must be an object with named parameters");
  Request request;
  request.method = std::move(method->get_ref<std::string&>());
  request.expects_reply = id != nullptr;
  if (id != nullptr) request.id = std::move(*id);
  request.params = params != nullptr ? std::move(*params) : Json::object();
  return request;
}

Json id_of(const Json& document) {
  if (!document.is_object()) return nullptr;
  auto id = document.find("id");
  return id != document.end() && is_id(*id) ? *id : Json(nullptr);
}

Json make_request(const Json& id, std::string_view method, Json params) {
  Json request = Json::object();  // here and below: a list of pairs takes several times as long
  request["jsonrpc"] = "2.0";
  request["id"] = id;
  request["method"] = std::string(method);
  request["params"] = std::move(params);
  return request;
}

Json make_reply(const Json& id, Json result) {
  Json reply = Json::object();
  reply["jsonrpc"] = "2.0";
  reply["id"] = id;
  reply["result"] = std::move(result);
  return reply;
}

Json make_error(const Json& id, const Failure& failure) {
  Json data = failure.data.is_object() ? failure.data : Json::object();
  int number = rpc_number(failure.code);
  // The standard codes say it all; the words are for the one code that stands for everything else.
  if (number == kServerError) data["error"] = std::string(word(failure.code));
  if (failure.os_error != 0) data["os_error"] = failure.os_error;
  Json error{{"code", number}, {"message", failure.message}};
  if (!data.empty()) error["data"] = std::move(data);
  Json reply{{"jsonrpc", "2.0"}, {"id", id}};
  reply["error"] = std::move(error);
  return reply;
}

Json make_event(Json params) {
  Json event{{"jsonrpc", "2.0"}, {"method", "event"}};
  event["params"] = std::move(params);
  return event;
}

namespace {

Failure failure_of(const Json& error) {
  Failure failure;
  if (error.contains("message") && error["message"].is_string())
    failure.message = error["message"].get<std::string>();
  if (error.contains("code")) failure.code = standard_code(error["code"]).value_or(ErrorCode::kBadArgument);
  if (!error.contains("data") || !error["data"].is_object()) return failure;
  failure.data = error["data"];
  Json name = failure.data.value("error", Json(nullptr));
  if (name.is_string()) failure.code = error_code(name.get<std::string>()).value_or(ErrorCode::kBadArgument);
  Json number = failure.data.value("os_error", Json(nullptr));
  if (number.is_number_integer()) failure.os_error = number.get<int>();
  return failure;
}

}  // namespace

Result<Json> parse_reply(Json document) {
  if (document.is_object()) {
    auto result = document.find("result");
    if (result != document.end()) return std::move(*result);
    auto error = document.find("error");
    if (error != document.end() && error->is_object()) return fail(failure_of(*error));
  }
  return fail(ErrorCode::kInvalidRequest, "the supervisor's reply is neither a result nor an error");
}

}  // namespace bgtask::wire
