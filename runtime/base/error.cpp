#include "runtime/base/error.h"

namespace tranche {
namespace detail {
namespace {
thread_local const Frame* innermost = nullptr;
}

Frame::Frame(std::string (*describe)(const Frame&)) : describe_(describe), outer_(std::exchange(innermost, this)) {}
Frame::~Frame() { innermost = outer_; }

}  // namespace detail

std::vector<std::string> open_frames() {
  std::vector<std::string> frames;
  for (const detail::Frame* frame = detail::innermost; frame != nullptr; frame = frame->outer_)
    frames.push_back(frame->describe_(*frame));
  return frames;
}

namespace {
std::string with_frames(std::string message) {
  for (const std::string& frame : open_frames()) message += "\n  while " + frame;
  return message;
}
}  // namespace

Error::Error(Exit exit, const std::string& message) : std::runtime_error(with_frames(message)), exit_(exit) {}

std::string without_frames(const std::string& message) { return message.substr(0, message.find("\n  while ")); }

void fail(Exit exit, const std::string& message) { throw Error(exit, message); }

}  // namespace tranche
