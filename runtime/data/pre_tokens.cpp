#include "runtime/data/pre_tokens.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <string>

#include "runtime/base/error.h"
#include "runtime/data/utf8.h"

namespace tranche {
namespace {

// Unicode's White_Space, which is what \s means where the patterns come from. PCRE2's own \s has U+180E besides.
#define SPACE R"(\x09-\x0D\x20\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})"

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

constexpr std::array<PreTokenRule, 2> rules{
    // Space stands only at the beginning of a pre-token, or makes up the whole of it, so one ends before every space
    // that
    // follows something else. (Not between spaces and a word: how many spaces the word leaves behind depends on it.)
    PreTokenRule{"gpt2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
                 R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^)" SPACE R"(\p{L}\p{N}]+|[)" SPACE R"(]+(?![^)" SPACE
                 R"(])|[)" SPACE R"(]+)",
                 [](char32_t before, char32_t after) { return !is_space(before) && is_space(after); }},
    // Of Llama 3 and GPT-4. Line breaks stand only at the end of a pre-token, with all that precedes them taken.
    PreTokenRule{
        "llama3",
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^)" SPACE
        R"(\p{L}\p{N}]+[\r\n]*|[)" SPACE R"(]*[\r\n]+|[)" SPACE R"(]+(?![^)" SPACE R"(])|[)" SPACE R"(]+)",
        [](char32_t before, char32_t after) { return (before == '\n' || before == '\r') && !is_space(after); }},
};
#undef SPACE

}  // namespace

const PreTokenRule& gpt2_rule() { return rules[0]; }

const PreTokenRule* find_rule_by_name(std::string_view name) {
  const auto* const found = std::ranges::find(rules, name, &PreTokenRule::name);
  return found == rules.end() ? nullptr : found;
}

const PreTokenRule* find_rule_by_pattern(std::string_view published) {
  const auto* const found = std::ranges::find(rules, published, &PreTokenRule::published);
  return found == rules.end() ? nullptr : found;
}

struct PreTokenizer::Compiled {
  explicit Compiled(const PreTokenRule& rule) {
    int error = 0;
    PCRE2_SIZE where = 0;
    // NO_UTF_CHECK in matching makes its own checks once for each match; split() has made them once for each byte.
    code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(rule.pattern), PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &where,
                         nullptr);
    check(code != nullptr, "pre-token rule ", rule.name, ": PCRE2 error ", error, " at ", where);
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where it is not to be had, matching is slower and the same
    match = pcre2_match_data_create(1, nullptr);
    check(match != nullptr, "pre-token rule ", rule.name, ": no memory to match");
  }
  ~Compiled() {
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;

  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
};

PreTokenizer::PreTokenizer(const PreTokenRule& rule) : rule_(rule), compiled_(std::make_unique<Compiled>(rule)) {}
PreTokenizer::~PreTokenizer() = default;

void PreTokenizer::split(std::string_view text, const std::function<void(std::string_view)>& each) {
  while (!text.empty()) {
    const std::size_t valid = utf8::valid_prefix(text);
    split_valid(text.substr(0, valid), each);
    text.remove_prefix(valid);
    std::size_t invalid = 0;
    while (invalid < text.size() && utf8::length(text.substr(invalid)) == 0) ++invalid;
    if (invalid > 0) each(text.substr(0, invalid));
    text.remove_prefix(invalid);
  }
}

void PreTokenizer::split_valid(std::string_view text, const std::function<void(std::string_view)>& each) {
  const auto* const subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const PCRE2_SIZE* const bounds = pcre2_get_ovector_pointer(compiled_->match);
  for (std::size_t at = 0; at < text.size();) {
    const int found =
        pcre2_match(compiled_->code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, compiled_->match, nullptr);
    check(found > 0 && bounds[0] == at && bounds[1] > at, "pre-token rule ", rule_.name, ": PCRE2 answers ", found,
          " at byte ", at, " of ", text.size());
    each(text.substr(at, bounds[1] - at));
    at = bounds[1];
  }
}

std::size_t PreTokenizer::cut(std::string_view text) const {
  // The character before a byte that is ASCII begins 1 to 4 bytes earlier. A byte that is not UTF-8 is no space.
  const auto character_before = [&](std::size_t end) {
    for (std::size_t length = 1; length <= std::min<std::size_t>(end, 4); ++length)
      if (const std::string_view last = text.substr(end - length, length); utf8::length(last) == length)
        return utf8::character(last, length);
    return U'\xFFFD';
  };
  for (std::size_t at = text.size(); at-- > 1;) {
    const auto after = static_cast<unsigned char>(text[at]);
    if (after < 0x80 && rule_.ends_between(character_before(at), after)) return at;
  }
  return 0;
}

}  // namespace tranche
