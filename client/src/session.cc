#include "client/src/session.h"

#include <algorithm>
#include <utility>

#include "protocol/wire/message.h"

namespace bgtask {
namespace {

std::optional<SessionMessage> to_message(Json document) {
  if (!document.is_object()) return std::nullopt;
  const auto id = document.find("id");
  if (id != document.end() && id->is_number_integer()) {
    const auto number = id->get<std::int64_t>();
    return SessionReply{number, wire::parse_reply(std::move(document))};
  }
  const bool answers_nothing = id == document.end() || id->is_null();
  if (answers_nothing && document.contains("error")) {
    Result<Json> reply = wire::parse_reply(std::move(document));
    if (!reply) return SessionRefusal{std::move(reply).error()};
    return std::nullopt;
  }
  if (document.value("method", Json()) != "event") return std::nullopt;
  return SessionEvent{document.value("params", Json::object())};
}

}  // namespace

ClientSession::ClientSession(std::size_t max_frame) : framer_(max_frame, wire::reply_limits()) {}

std::int64_t ClientSession::request(std::string_view method, Json& params) {
  const std::int64_t id = ++last_id_;
  Json document = wire::make_request(id, method, std::move(params));
  queue(wire::encode_frame(document, wire::Encoding::kMsgpack));
  params = std::move(document["params"]);
  return id;
}

std::int64_t ClientSession::request(std::string_view method, const Json& params, std::string_view name,
                                    std::string_view data) {
  const std::int64_t id = ++last_id_;
  queue(wire::encode_request_head(id, method, params, name, data.size()));
  data_ = data;
  return id;
}

void ClientSession::queue(std::string frame) {
  if (!has_unsent()) {
    head_ = std::move(frame);
    return;
  }
  head_.append(data_).append(frame);  // borrowed bytes are only borrowed until here
  data_ = {};
}

std::array<std::string_view, 2> ClientSession::unsent() const {
  return {std::string_view(head_).substr(head_sent_), data_};
}

void ClientSession::sent(std::size_t size) {
  const std::size_t of_head = std::min(size, head_.size() - head_sent_);
  head_sent_ += of_head;
  data_.remove_prefix(size - of_head);
  if (head_sent_ < head_.size()) return;
  std::string().swap(head_);
  head_sent_ = 0;
}

void ClientSession::drop_unsent() {
  std::string().swap(head_);
  head_sent_ = 0;
  data_ = {};
}

std::optional<SessionMessage> ClientSession::next() {
  while (!broken_) {
    std::optional<Result<Json>> frame = framer_.next();
    if (!frame) break;
    if (!*frame) {
      broken_ = true;
      frame->error().message.insert(0, "the supervisor's reply: ");
      return SessionBroken{std::move(*frame).error()};
    }
    if (std::optional<SessionMessage> message = to_message(std::move(**frame))) return message;
  }
  return std::nullopt;
}

}  // namespace bgtask
