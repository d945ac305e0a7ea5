// What a rank tells its supervisor. Each message is four bytes, its length in bytes with the lowest first, and so much
// JSON. The first one must be a Hello with the right token, or the supervisor hangs up.
//
//   {"token": "9f2c...", "rank": 1, "ranks": 4, "host": "node-a", "addresses": ["10.0.0.1"], "pid": 4711}
//   {"step": 12, "phase": "training", "collectives": 801, "collective": "all_gather of blocks.3", "left": false,
//    "steps": 11, "seconds": {"compute": 2.25, "wait": 0.5}, "bytes": {"device": {"parameters": 81920}}}
//
// The supervisor says one thing, a byte: where is your training thread? The next message then has a "stack" as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/control/machine.h"

namespace tranche {

inline constexpr std::size_t message_header = 4;      // bytes
inline constexpr std::size_t longest_message = 4096;  // bytes behind the header
inline constexpr std::size_t longest_name = 120;      // of a host, a phase, a collective, a function; the rest is cut
inline constexpr std::size_t most_stack_frames = 16;
inline constexpr char stack_request = 's';

// The supervisor's address and the file with its token, as ranks find them in their environment.
inline constexpr const char* supervisor_variable = "TRANCHE_SUPERVISOR";   // "unix:PATH" or "tcp:HOST:PORT"
inline constexpr const char* token_variable = "TRANCHE_SUPERVISOR_TOKEN";  // a path

struct Hello {
  std::string token;
  std::size_t rank = 0, ranks = 1;
  Machine machine;  // that it runs on
  std::int64_t pid = 0;
};

// The phase of a rank that MPI has not connected with the others yet: none of them can be further.
inline constexpr const char* joining = "joining";

// What a rank is doing; sent several times a second, and once more when it leaves of its own accord.
struct Activity {
  std::uint64_t step = 0;  // under way, the first is 1; 0: none yet
  std::string phase = joining;
  std::uint64_t collectives = 0;            // issued by the training communicator so far
  std::string collective{};                 // the newest of them: operation and label
  std::uint64_t steps = 0;                  // done since this start
  std::map<std::string, double> seconds{};  // of these steps that its training thread spent, by kind (docs/trace.md)
  std::map<std::string, std::map<std::string, std::uint64_t>> bytes{};  // most held so far, by tier and category
  std::vector<std::string> stack{};  // of the training thread, innermost first; only after a stack_request
  bool left = false;                 // the last message: the rank has ended its work, well or with an error of its own
  bool operator==(const Activity&) const = default;
};

// With the header.
std::string encoded(const Hello& hello);
std::string encoded(const Activity& activity);

// Length of the message whose header this is; may be longer than allowed.
std::size_t message_length(const unsigned char (&header)[message_header]);

// Of what came behind the header. Throw Exit::ranks for anything else. What is longer than allowed is cut.
Hello decoded_hello(std::string_view message);
Activity decoded_activity(std::string_view message);

}  // namespace tranche
