#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "protocol/wire/error_code.h"

namespace bgtask {
namespace {

// The closed set as the contract lists it.
constexpr const char* kWords[] = {
    "not_found",    "exists",        "denied",         "unsafe_pool",     "impostor",       "path_too_long",
    "read_only",    "no_space",      "too_many_files", "process_limit",   "no_memory",      "file_limit",
    "exec_failed",  "locked",        "busy",           "running",         "already_exited", "kill_incomplete",
    "stdin_closed", "would_block",   "lost",           "unresponsive",    "too_slow",       "frame_too_large",
    "too_deep",     "frame_timeout", "bad_argument",   "version_mismatch"};

TEST(ErrorCode, EveryWordOfTheContractHasACode) {
  std::set<int> codes;
  for (const char* name : kWords) {
    auto code = error_code(name);
    ASSERT_TRUE(code.has_value()) << name;
    EXPECT_EQ(word(*code), name);
    EXPECT_EQ(rpc_number(*code), -32000) << name;
    EXPECT_TRUE(codes.insert(static_cast<int>(*code)).second) << name;
  }
}

TEST(ErrorCode, StandardCodes) {
  EXPECT_EQ(rpc_number(ErrorCode::kParseError), -32700);
  EXPECT_EQ(rpc_number(ErrorCode::kInvalidRequest), -32600);
  EXPECT_EQ(rpc_number(ErrorCode::kUnknownMethod), -32601);
}

TEST(ErrorCode, UnknownWordsHaveNone) {
  EXPECT_FALSE(error_code("no_such_word").has_value());
}

TEST(ErrorCode, ErrnosMeanWords) {
  EXPECT_EQ(code_of_errno(ENOSPC, ErrorCode::kBusy), ErrorCode::kNoSpace);
  EXPECT_EQ(code_of_errno(EMFILE, ErrorCode::kBusy), ErrorCode::kTooManyFiles);
  EXPECT_EQ(code_of_errno(EROFS, ErrorCode::kBusy), ErrorCode::kReadOnly);
  EXPECT_EQ(code_of_errno(EIO, ErrorCode::kBusy), ErrorCode::kBusy);
}

}  // namespace
}  // namespace bgtask
