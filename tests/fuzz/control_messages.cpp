// What a peer of the control channel can send: frames of any length and content. A message is taken or refused with
// Exit::ranks; what is taken says the same when it is sent on, and can be shown to people, browsers and Prometheus.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "launcher/control/messages.h"
#include "launcher/control/roll.h"
#include "launcher/http/exposition.h"
#include "runtime/base/error.h"
#include "runtime/base/json.h"

namespace {

using namespace tranche;

void require(bool holds) {
  if (!holds) std::abort();
}

// Decodes a message if it is one.
template <class Message, class Decode> std::optional<Message> taken(std::string_view text, Decode decode) {
  try {
    return decode(text);
  } catch (const Error& error) {
    require(error.exit() == Exit::ranks);
    return std::nullopt;
  }
}

std::string_view body(std::string_view frame) { return frame.substr(message_header); }

void show(const Roll& roll, Roll::Time now) {
  require(!roll.table(now).empty());
  const RunStatus status{.run = "run", .state = "running", .ranks = 2, .restarts = 0, .dropped = 0, .roll = &roll};
  parse_json(status_text(status, now), "status", Exit::internal);  // throws where it is none
  const std::string text = exposition(status, {}, now);
  require(text.ends_with('\n'));
  roll.judge({}, now);
  roll.judge_ended(now);
  roll.judge_lost_host(now);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  Roll roll{2, Roll::Time{}};
  Roll::Time now{};
  // The rest of a long input would be more of the same, and slow.
  for (int frames = 0; frames < 16 && rest.size() >= message_header; ++frames) {
    unsigned char header[message_header];
    for (std::size_t i = 0; i < message_header; ++i) header[i] = static_cast<unsigned char>(rest[i]);
    const std::size_t length = message_length(header);
    if (length > longest_message) break;  // hung up on
    const std::string_view text = body(rest).substr(0, length);
    rest.remove_prefix(message_header + text.size());
    now += std::chrono::seconds{1};
    if (const auto hello = taken<Hello>(text, decoded_hello)) {
      if (hello->token.size() < 1000) {  // a token of ours is shorter; what is sent on must fit
        const Hello again = decoded_hello(body(encoded(*hello)));
        require(again.rank == hello->rank && again.ranks == hello->ranks && again.pid == hello->pid &&
                again.machine.addresses == hello->machine.addresses);
      }
      if (roll.joins(*hello, now)) require(hello->rank < 2);
    }
    if (const auto activity = taken<Activity>(text, decoded_activity)) {
      if (text.size() < 500)  // a number may need more digits than it came with
        require(decoded_activity(body(encoded(*activity))) == *activity);
      if (roll.ranks()[activity->step % 2].joined) roll.says(activity->step % 2, *activity, now);
      if (activity->left) roll.parts(activity->step % 2, now);
    }
  }
  if (roll.ranks()[0].joined || roll.ranks()[1].joined) show(roll, now);
  return 0;
}
