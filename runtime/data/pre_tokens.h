// Cuts text into pre-tokens: the pieces within which byte-pair encoding merges, and across which it never does.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

namespace tranche {

// A published pattern, and what it lets us say about long texts.
struct PreTokenRule {
  const char* name;
  const char* published;  // as it stands in tokenizer.json
  const char* pattern;    // the same in PCRE2's dialect; it matches at every character

  // True if a pre-token always ends between these two characters and neither side can change what the other becomes.
  bool (*ends_between)(char32_t before, char32_t after);
};

const PreTokenRule& gpt2_rule();
const PreTokenRule* find_rule_by_name(std::string_view name);          // null if there is none
const PreTokenRule* find_rule_by_pattern(std::string_view published);  // null if there is none

// One object belongs to one thread at a time.
class PreTokenizer {
 public:
  explicit PreTokenizer(const PreTokenRule& rule);
  ~PreTokenizer();

  // Calls `each` with the pre-tokens in order; joined they are the text. A run of bytes that are not UTF-8 is a
  // pre-token of its own, and the text on either side of it is cut as if it stood alone.
  void split(std::string_view text, const std::function<void(std::string_view)>& each);

  // The last place in `text` at which it may be cut, whatever follows: split(text + more) gives what split gives of the
  // first n bytes and of the rest. 0 if there is none.
  std::size_t cut(std::string_view text) const;

 private:
  void split_valid(std::string_view text, const std::function<void(std::string_view)>& each);

  struct Compiled;
  const PreTokenRule& rule_;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace tranche
