#include "launcher/control/messages.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "runtime/base/json.h"

namespace tranche {
namespace {

constexpr const char* where = "a rank's message";

std::string framed(const Json& message) {
  // What a name's cut end left of a character is replaced.
  const std::string text = message.dump(-1, ' ', false, Json::error_handler_t::replace);
  check(text.size() <= longest_message, where, " of ", text.size(), " bytes is too long");
  std::string frame;
  for (std::size_t i = 0; i < message_header; ++i) frame += static_cast<char>((text.size() >> (8 * i)) & 0xff);
  return frame + text;
}

template <class T> T get(const Json& message, const std::string& key) {
  return member<T>(message, key, where, Exit::ranks);
}

std::string name(const std::string& text) {
  std::size_t end = std::min(text.size(), longest_name);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;  // no half character
  std::string cut = text.substr(0, end);
  for (char& c : cut)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';  // it will stand in a table on a terminal
  return cut;
}

std::vector<std::string> names(const std::vector<std::string>& stack) {
  std::vector<std::string> cut;
  for (const std::string& frame : stack)
    if (cut.size() < most_stack_frames) cut.push_back(name(frame));
  return cut;
}

// Under names that can be shown; a number that is none of this type, or not finite, or below zero, is refused.
template <class T> std::map<std::string, T> figures(const Json& object) {
  ensure(Exit::ranks, object.is_object(), where, ": figures must be in an object");
  std::map<std::string, T> all;
  for (const auto& [key, value] : object.items()) {
    const bool number = std::is_integral_v<T> ? value.is_number_unsigned() : value.is_number();
    ensure(Exit::ranks, number && value.template get<double>() >= 0 && std::isfinite(value.template get<double>()),
           where, ": a figure that is none");
    all[name(key)] = value.template get<T>();
  }
  return all;
}

std::map<std::string, std::map<std::string, std::uint64_t>> figures_by_tier(const Json& object) {
  ensure(Exit::ranks, object.is_object(), where, ": figures must be in an object");
  std::map<std::string, std::map<std::string, std::uint64_t>> all;
  for (const auto& [tier, of_tier] : object.items()) all[name(tier)] = figures<std::uint64_t>(of_tier);
  return all;
}

}  // namespace

std::string encoded(const Hello& hello) {
  return framed({{"token", hello.token},
                 {"rank", hello.rank},
                 {"ranks", hello.ranks},
                 {"host", name(hello.machine.name)},
                 {"addresses", hello.machine.addresses},
                 {"pid", hello.pid}});
}

std::string encoded(const Activity& activity) {
  Json message{{"step", activity.step},
               {"phase", name(activity.phase)},
               {"collectives", activity.collectives},
               {"collective", name(activity.collective)},
               {"steps", activity.steps},
               {"seconds", activity.seconds},
               {"bytes", activity.bytes},
               {"left", activity.left}};
  if (!activity.stack.empty()) message["stack"] = names(activity.stack);
  return framed(message);
}

std::size_t message_length(const unsigned char (&header)[message_header]) {
  std::size_t length = 0;
  for (std::size_t i = 0; i < message_header; ++i) length |= std::size_t{header[i]} << (8 * i);
  return length;
}

namespace {

Machine machine_of(const Json& message) {
  Machine machine{.name = name(get<std::string>(message, "host"))};
  const Json addresses = get<Json>(message, "addresses");
  ensure(Exit::ranks, addresses.is_array(), where, ": addresses that are no list");
  for (const Json& address : addresses) {
    ensure(Exit::ranks, address.is_string() && is_address(address.get<std::string>()), where,
           ": an address that is none");
    if (machine.addresses.size() < most_addresses) machine.addresses.push_back(address.get<std::string>());
  }
  return machine;
}

std::vector<std::string> stack_of(const Json& message) {
  const Json stack = message.value("stack", Json::array());
  ensure(Exit::ranks, stack.is_array() && std::ranges::all_of(stack, [](const Json& each) { return each.is_string(); }),
         where, ": a stack that is no list of names");
  return names(stack.get<std::vector<std::string>>());
}

}  // namespace

Hello decoded_hello(std::string_view text) {
  const Json message = parse_json(text, where, Exit::ranks);
  return {.token = get<std::string>(message, "token"),
          .rank = get<std::size_t>(message, "rank"),
          .ranks = get<std::size_t>(message, "ranks"),
          .machine = machine_of(message),
          .pid = get<std::int64_t>(message, "pid")};
}

Activity decoded_activity(std::string_view text) {
  const Json message = parse_json(text, where, Exit::ranks);
  return {.step = get<std::size_t>(message, "step"),
          .phase = name(get<std::string>(message, "phase")),
          .collectives = get<std::size_t>(message, "collectives"),
          .collective = name(get<std::string>(message, "collective")),
          .steps = get<std::size_t>(message, "steps"),
          .seconds = figures<double>(message.value("seconds", Json::object())),
          .bytes = figures_by_tier(message.value("bytes", Json::object())),
          .stack = stack_of(message),
          .left = get<bool>(message, "left")};
}

}  // namespace tranche
