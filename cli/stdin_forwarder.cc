#include "cli/stdin_forwarder.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cli/console.h"

namespace bgtask::cli {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
// A supervisor does not tell when its queue has room again.
constexpr std::chrono::milliseconds kShortestPause{1}, kLongestPause{50};

bool is_over(const Error& error) {
  return error.code() == "stdin_closed" || error.code() == "not_found" || error.code() == "lost" ||
         error.code() == "busy";
}

}  // namespace

bool stdin_may_have_data() {
  struct stat st {};
  if (::fstat(STDIN_FILENO, &st) != 0) return false;
  return S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISREG(st.st_mode);
}

bool stdin_has_data() {
  struct stat st {};
  if (::fstat(STDIN_FILENO, &st) != 0) return false;
  if (S_ISREG(st.st_mode)) return ::lseek(STDIN_FILENO, 0, SEEK_CUR) < st.st_size;
  int waiting = 0;
  return ::ioctl(STDIN_FILENO, FIONREAD, &waiting) == 0 && waiting > 0;
}

void StdinForwarder::proceed(bool readable) {
  try {
    if (readable && wants_input()) read();
    if (!pending_.empty() && (!retry_at_ || Clock::now() >= *retry_at_)) write();
  } catch (const Error& error) {
    if (!is_over(error)) throw;
    done_ = true;
    pending_.clear();
    retry_at_.reset();
  }
}

void StdinForwarder::read() {
  pending_ = read_some_stdin(kPiece);
  if (!pending_.empty()) return;
  done_ = true;
  stream_.close();
}

void StdinForwarder::write() {
  const bool wrote = write_some();
  pause_ = wrote ? kShortestPause : std::min(std::max(pause_, kShortestPause) * 2, kLongestPause);
  retry_at_.reset();
  if (!pending_.empty()) retry_at_ = Clock::now() + pause_;
}

// False where there was no room at all.
bool StdinForwarder::write_some() {
  try {
    pending_.erase(0, stream_.write(pending_).accepted);
    return true;
  } catch (const Error& error) {
    if (error.code() != "would_block") throw;
    return false;
  }
}

}  // namespace bgtask::cli
