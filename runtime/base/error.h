// Errors that say what failed, on which rank, and what was being done.
//
//   const Doing frame{[&] { return str("gathering ", parameter.name); }};
//   check(x == w, "linear: input has ", x, " features, weight expects ", w);
//   ensure(Exit::job_file, ranks > 0, "train_batch_size ", batch, " is not divisible by ", ranks, " ranks");
//
//   [rank 3/8] linear: input has 64 features, weight expects 48
//     while gathering blocks.7.mlp.up.weight
//     while training step 1204
#pragma once

#include <concepts>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tranche {

// What the program exits with; docs/errors.md lists them.
enum class Exit : int {
  success = 0,
  internal = 1,       // a defect of ours, or anything that has no line below
  usage = 2,          // the command line
  job_file = 3,       // a key, a value, or a combination of them
  data = 4,           // text, tokenizer or token file
  checkpoint = 5,     // damaged, incomplete, or of another model
  out_of_memory = 6,  // a device's capacity, or the machine's memory
  numerics = 7,       // a loss scale that can fall no further
  storage = 8,        // a write that failed: disk full, read-only, input/output error
  ranks = 9,          // ranks that disagree, or a peer that failed
  stopped = 75,       // SIGTERM: a checkpoint was written, start again with --resume (EX_TEMPFAIL)
};

// The parts, written one after another.
template <class... Parts> std::string str(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return std::move(text).str();
}

// Its message ends with the frames (`Doing`) that were open when it was made, innermost first.
class Error : public std::runtime_error {
 public:
  Error(Exit exit, const std::string& message);
  Exit exit() const { return exit_; }

 private:
  Exit exit_;
};

// What this thread is doing, innermost first.
std::vector<std::string> open_frames();

// A message of an Error, less what was being done (Doing): for one that goes on as part of another.
std::string without_frames(const std::string& message);

// Throws an Error.
[[noreturn]] void fail(Exit exit, const std::string& message);

// The caller's mistake or ours: Exit::internal.
template <class... Parts> void check(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]]
    fail(Exit::internal, str(parts...));
}

// As check, with the exit code that the user should see.
template <class... Parts> void ensure(Exit exit, bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]]
    fail(exit, str(parts...));
}

namespace detail {
class Frame {
 public:
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

 protected:
  explicit Frame(std::string (*describe)(const Frame&));
  ~Frame();

 private:
  friend std::vector<std::string> tranche::open_frames();
  std::string (*describe_)(const Frame&);
  const Frame* outer_;
};
}  // namespace detail

// Says what the current scope of this thread is doing. The description is made only if an Error is.
template <std::invocable Describe> class Doing : detail::Frame {
 public:
  explicit Doing(Describe describe)
      : Frame([](const Frame& self) { return static_cast<const Doing&>(self).describe_text_(); }),
        describe_text_(std::move(describe)) {}

 private:
  Describe describe_text_;
};

}  // namespace tranche
