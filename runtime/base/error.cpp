#include "runtime/base/error.h"

namespace tranche {
namespace detail {
namespace {
thread_local const Frame* innermost = nullptr;
}

Frame::Frame(std::string (*describe)(const Frame&)) : describe_(describe), outer_(std::exchange(innermost, this)) {}
Frame::~Frame() { innermost = outer_; }

std::string open_frames() {
  std::string text;
  for (const Frame* frame = innermost; frame != nullptr; frame = frame->outer_)
    text += "\n  while " + frame->describe_(*frame);
  return text;
}

}  // namespace detail

Error::Error(Exit exit, const std::string& message)
    : std::runtime_error(message + detail::open_frames()), exit_(exit) {}

std::string without_frames(const std::string& message) { return message.substr(0, message.find("\n  while ")); }

void fail(Exit exit, const std::string& message) { throw Error(exit, message); }

}  // namespace tranche
