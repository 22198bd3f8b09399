#include "supervisor/program/supervisor.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "protocol/wire/methods.h"
#include "protocol/wire/signals.h"
#include "supervisor/clients/methods/handlers.h"
#include "supervisor/clients/subscriptions.h"
#include "supervisor/program/in_place.h"
#include "supervisor/program/memory_reserve.h"

namespace bgtask::supervisor {
namespace {

constexpr uint64_t kPutBackMs = 500;
constexpr int kMostDoublings = 12;       // half an hour
constexpr uint64_t kFarewellMs = 2'000;  // for clients, and who reads our stdout, to take the last

// Whether a request changes nothing of the task.
bool only_looks(const wire::Method& method, const wire::AnyRequest& request) {
  const auto* read = std::get_if<wire::ReadRequest>(&request);
  return method.read_only || (read != nullptr && read->peek);
}

}  // namespace

Supervisor::Supervisor(io::Loop& loop, Task& task)
    : loop_(loop),
      task_(task),
      server_(loop, {[this](Connection& c, wire::Request r) { receive(c, std::move(r)); },
                     [this](Connection& c) {
                       pump(c, task_);
                       deletion_.connection_writable(c);
                     },
                     [this](Connection& c) {
                       waits_.forget(c);
                       restarts_.forget(c);
                       stops_.forget(c);
                       deletion_.forget(c);
                       if (finished_ && everything_said()) loop_.stop();
                     }}),
      waits_(
          loop,
          [this] {
            return WaitFacts{task_.exited(), task_.output().all_eof(), next_cursor()};
          },
          [this] { return task_.status(); }),
      restarts_(task),
      stops_(task),
      deletion_(loop, task, [this] { finish(); }) {
  auto mark = [this](auto set) {
    server_.for_each([&](Connection& c) {
      if (c.subscription()) set(*c.subscription());
    });
    something_happened();
  };
  task_.set_listener({[this] { something_happened(); },
                      [this, mark] {
                        mark([this](Subscription& s) {
                          if (s.exit) s.exit_at = next_cursor();
                        });
                      },
                      [mark] { mark([](Subscription& s) { s.meta_due = s.meta; }); },
                      [mark](StreamId stream) {
                        mark([stream](Subscription& s) {
                          if (s.stream) s.ended_streams |= 1u << static_cast<uint32_t>(stream);
                        });
                      },
                      [this](const Status& outcome) { restarts_.finished(outcome); }});
}

Status Supervisor::start(Listening listening, io::UniqueFd signals, io::UniqueFd leader) {
  signals_ = std::move(signals);
  leader_ = std::move(leader);
  Status started = signals_poll_.start(loop_, signals_.get(), UV_READABLE, [this](int) { on_signals(); });
  if (started && leader_) {
    started = leader_poll_.start(loop_, leader_.get(), UV_READABLE, [this](int) {
      leader_poll_.stop();
      deletion_.begin_unasked({::geteuid(), ::getpid()}, "delete, since the session's leader has ended,");
    });
  }
  if (task_.spec().share_with) server_.set_group(task_.spec().share_with->gid);
  for (Endpoint endpoint : kEndpoints) {
    if (started) started = server_.listen(endpoint, std::move(listening[static_cast<size_t>(endpoint)]));
  }
  // Without it a socket that somebody removes stays away; everything else works.
  if (Status watched = task_.files().watch(); !watched) task_.files().log(watched.error().message);
  if (started) begin_in_place();
  return started;
}

void Supervisor::begin_in_place() {
  const auto& in_place = task_.spec().in_place;
  if (!in_place) return;
  say_started(*in_place);
  if (!in_place->forward_output) return;
  OutputForwarder::Listener listener;
  // What waits for room in its ring, or will be deleted when it has been shown, is taken as it is forwarded.
  if (task_.spec().overflow_block) listener.taken = [this](StreamId stream) { task_.room_made(stream); };
  listener.drained = [this] {
    forwarder_->pump();
    something_happened();
    if (finished_ && everything_said()) loop_.stop();
  };
  forwarder_ = std::make_unique<OutputForwarder>(loop_, task_.output(), std::move(listener));
  forwarder_->pump();
}

// Later, in a turn of the loop of its own: the end is told from within the reaping.
void Supervisor::end_with_command() {
  const auto& in_place = task_.spec().in_place;
  if (!in_place || !in_place->end_with_command || !task_.exited() || command_ended_.running()) return;
  command_ended_.start(loop_, 0, [this] {
    if (!task_.exited() || deletion_.under_way() || finished_) return;
    if (forwarder_ && !forwarder_->drained()) return;  // comes again when it has
    deletion_.begin_unasked({::geteuid(), ::getpid()}, "delete, since the command has ended,");
  });
}

int Supervisor::exit_status() const {
  const auto& in_place = task_.spec().in_place;
  return in_place && in_place->end_with_command ? exit_status_of(task_.status()) : 0;
}

void Supervisor::on_signals() {
  signalfd_siginfo info{};
  std::optional<signalfd_siginfo> end;
  bool removed = false;
  // Signals coalesce: one SIGCHLD may stand for many children, so all of them are looked at in any case.
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGIO)
      removed = true;
    else if (info.ssi_signo != SIGCHLD)
      end = info;
  }
  task_.reap();
  if (removed && !put_back_again_.running()) put_back();
  if (end) {
    deletion_.begin_unasked(
        {end->ssi_uid, static_cast<pid_t>(end->ssi_pid)},
        wire::signal_name(static_cast<int>(end->ssi_signo)) + " to the supervisor (delete)");
  }
}

// Somebody may have cleaned up where they should not have: without its socket a task could not be reached.
void Supervisor::put_back() {
  TaskFiles& files = task_.files();
  if (finished_ || deletion_.under_way() || files.directory_gone()) return;
  Status done = files.keep_lock();
  for (Endpoint endpoint : kEndpoints) {
    if (files.in_place(endpoint)) continue;
    auto listening = files.listen(endpoint);
    Status back =
        listening ? server_.listen(endpoint, std::move(*listening)) : fail(std::move(listening).error());
    if (!back) {
      done = back;
      continue;
    }
    files.log(std::string("'") + TaskFiles::name_of(endpoint) + "' was removed: put back");
  }
  if (!files.has_status()) task_.publish();
  if (done) {
    put_back_failures_ = 0;
    return;
  }
  if (put_back_failures_++ == 0) files.log("cannot put back what was removed: " + done.error().message);
  // What cannot be put back now perhaps never can be: asked again ever more rarely.
  uint64_t wait = kPutBackMs << std::min(put_back_failures_, kMostDoublings);
  put_back_again_.start(loop_, wait, [this] { put_back(); });
}

void Supervisor::something_happened() {
  if (forwarder_) forwarder_->pump();
  end_with_command();
  waits_.check();
  server_.for_each([this](Connection& connection) {
    if (connection.idle()) pump(connection, task_);
  });
}

void Supervisor::receive(Connection& connection, wire::Request envelope) {
  const wire::Method* method = wire::find_method(envelope.method);
  if (method == nullptr) {
    return connection.reply(envelope, fail(ErrorCode::kUnknownMethod,
                                           "there is no method '" + wire::printable_name(envelope.method) +
                                               "'; 'methods' lists them"));
  }
  if (Status valid = wire::validate(*method, envelope.params); !valid) {
    return connection.reply(envelope, fail(std::move(valid).error()));
  }
  const wire::AnyRequest request = wire::decode_request(method->id, std::move(envelope.params));
  if (deletion_.under_way() && !method->read_only && method->id != wire::MethodId::kDelete &&
      method->id != wire::MethodId::kKill) {
    return connection.reply(envelope, fail(ErrorCode::kBusy, "the task is being deleted"));
  }
  if (!connection.peer().may_change && !only_looks(*method, request)) {
    return connection.reply(
        envelope, fail(ErrorCode::kDenied,
                       "this socket only answers what changes nothing of the task ('read' with 'peek')"));
  }
  if (!memory_reserve_ready()) {
    return connection.reply(envelope,
                            fail(ErrorCode::kNoMemory, "the supervisor is out of memory; try again later"));
  }
  // Nobody would hear the answer: many of these in one message would only keep the others waiting.
  if (!envelope.expects_reply && method->read_only && method->id != wire::MethodId::kSubscribe &&
      method->id != wire::MethodId::kUnsubscribe)
    return;
  dispatch(connection, std::move(envelope), request);
}

void Supervisor::dispatch(Connection& connection, wire::Request envelope, const wire::AnyRequest& request) {
  std::visit([&](const auto& decoded) { serve(connection, std::move(envelope), decoded); }, request);
}

template <class Request>
void Supervisor::serve(Connection& connection, wire::Request envelope, const Request& request) {
  const Call call{task_,
                  {connection.peer().uid, connection.peer().pid},
                  connection.encoding(),
                  server_.clients(),
                  connection.writes(),
                  connection.last_output()};
  Result<typename Request::Reply> reply = handle(call, request);
  connection.reply(envelope, reply ? Result<Json>(wire::encode(std::move(*reply)))
                                   : Result<Json>(fail(std::move(reply).error())));
}

void Supervisor::serve(Connection& connection, wire::Request envelope, const wire::DeleteRequest& request) {
  deletion_.request(connection, std::move(envelope), request);
}

void Supervisor::serve(Connection& connection, wire::Request envelope, const wire::RestartRequest& request) {
  restarts_.request(connection, std::move(envelope), request);
}

void Supervisor::serve(Connection& connection, wire::Request envelope, const wire::StopRequest& request) {
  stops_.request(connection, std::move(envelope), request);
}

void Supervisor::serve(Connection& connection, wire::Request envelope, const wire::WaitRequest& request) {
  waits_.add(connection, std::move(envelope), request);
}

void Supervisor::serve(Connection& connection, wire::Request envelope,
                       const wire::SubscribeRequest& request) {
  connection.subscription() = make_subscription(request, task_, next_cursor());
  connection.reply(envelope, wire::encode(wire::SubscribeReply{connection.subscription()->cursor}));
  pump(connection, task_);
}

void Supervisor::serve(Connection& connection, wire::Request envelope, const wire::UnsubscribeRequest&) {
  connection.subscription().reset();
  connection.reply(envelope, wire::encode(wire::TrueReply{}));
}

void Supervisor::finish() {
  finished_ = true;
  server_.stop_listening();
  if (forwarder_) forwarder_->pump();
  if (everything_said()) return loop_.stop();
  server_.for_each([](Connection& connection) { connection.close_when_sent(); });
  farewell_.start(loop_, kFarewellMs, [this] { loop_.stop(); });
}

}  // namespace bgtask::supervisor
