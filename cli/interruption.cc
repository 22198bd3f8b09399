#include "cli/interruption.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "cli/escaping.h"
#include "cli/exit_status.h"

namespace bgtask::cli {
namespace {

constexpr int kHandled[] = {SIGHUP, SIGINT, SIGTERM};

// What a handler can see. Written only while the signals are blocked.
char words_said[512];
volatile std::sig_atomic_t supervisor_handle = -1;  // a pidfd

sigset_t handled_set() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kHandled)
    sigaddset(&set, signal);
  return set;
}

void set_mask(int how) {
  const sigset_t set = handled_set();
  ::sigprocmask(how, &set, nullptr);
}

void say_words(int signal) {
  if (signal != SIGHUP && ::write(STDERR_FILENO, words_said, ::strlen(words_said)) < 0) return;
}

void leave(int signal) {
  say_words(signal);
  ::signal(signal, SIG_DFL);
  ::raise(signal);  // strikes when this handler returns
}

void delete_task(int signal) {
  const int saved = errno;
  say_words(signal);
  // TERM means delete. A second signal does not wait for that.
  ::syscall(SYS_pidfd_send_signal, static_cast<int>(supervisor_handle), SIGTERM, nullptr, 0);
  for (const int handled : kHandled)
    ::signal(handled, SIG_DFL);
  errno = saved;
}

void handle_by(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  action.sa_mask = handled_set();
  for (const int signal : kHandled) {
    struct sigaction before = {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
}

void set_words(const std::string& words) {
  const std::string line = "bgtask: " + escaped(words) + "\n";
  const std::size_t length = line.copy(words_said, sizeof words_said - 1);
  words_said[length] = '\0';
}

}  // namespace

Interruption::Interruption() {
  set_mask(SIG_BLOCK);
}

Interruption::~Interruption() {
  set_mask(SIG_BLOCK);
  for (const int signal : kHandled) {
    struct sigaction action = {};
    ::sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) ::signal(signal, SIG_DFL);
  }
  if (supervisor_handle >= 0) ::close(static_cast<int>(supervisor_handle));
  supervisor_handle = -1;
  set_mask(SIG_UNBLOCK);
}

void Interruption::leaves_task(const std::string& words) {
  set_mask(SIG_BLOCK);
  set_words(words);
  handle_by(leave);
  set_mask(SIG_UNBLOCK);
}

void Interruption::deletes_task(pid_t supervisor, const std::string& words) {
  set_mask(SIG_BLOCK);
  set_words(words);
  supervisor_handle = static_cast<int>(::syscall(SYS_pidfd_open, supervisor, 0));
  handle_by(delete_task);
  set_mask(SIG_UNBLOCK);
}

void die_of(int signal) {
  ::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  ::raise(signal);
  ::_exit(kExitSignalBase + signal);
}

}  // namespace bgtask::cli
