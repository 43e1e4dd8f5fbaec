// Expected texts are what transformers 4.57.6 (Jinja 3.1) makes of the same templates.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "tokenizers/jinja/ast.h"

namespace ferry::tokenizers::jinja {
namespace {

std::string run(std::string_view source, std::string_view variables = "{}") {
  return render(parse(source), parse_json(variables, "variables"));
}

TEST(ChatTemplate, Llama3) {
  EXPECT_EQ(
      run("{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
          "'<|start_header_id|>' + message['role'] + "
          "'<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% "
          "set content = bos_token + content %}"
          "{% endif %}{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}",
          R"({"bos_token":"<s>","messages":[{"role":"user","content":" Hi \n"}]})"),
      "<s><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_"
      "id|>\n\n");
}

TEST(ChatTemplate, BlocksTakeTheirLinesWithThem) {
  EXPECT_EQ(run("{% for m in messages %}\n{% if m == 1 %}\none\n  {% else %}\nother {{ m }}\n  {% endif "
                "%}\n{% endfor %}\nend\n",
                R"({"messages":[1,2]})"),
            "one\nother 2\nend");
  EXPECT_EQ(run("a  {%- if true -%}  b  {%- endif %}  c {# gone #} d"), "ab  c  d");
}

TEST(ChatTemplate, ExpressionsAreThoseOfPython) {
  EXPECT_EQ(run("{{ [1, 2.0, 'a', none, true] }} {{ 7 // 2 }} {{ 7 / 2 }} {{ -7 % 3 }} {{ 'abc'[::-1] }} {{ "
                "'x' * 3 }} {{ 1 if false }}|{{ nothing|default('d') }}"),
            "[1, 2.0, 'a', None, True] 3 3.5 2 cba xxx |d");
  EXPECT_EQ(run("{% set ns = namespace(n=0) %}{% for i in range(4) if i != 2 %}{% set ns.n = ns.n + i %}{% "
                "endfor %}{{ ns.n }}"),
            "4");
  EXPECT_EQ(
      run("{% macro m(x, end='!') %}<{{ x|upper }}{{ end }}>{% endmacro %}{{ m('a') }}{{ m('b', end='?') }}"),
      "<A!><B?>");
  EXPECT_EQ(run(R"({{ {'a': [1, {}], 'b': 'é"'}|tojson }})"), R"({"a": [1, {}], "b": "é\""})");
}

TEST(ChatTemplate, WhatGoesWrongIsSaid) {
  EXPECT_THROW(run("{{ raise_exception('roles must alternate') }}"), Error);
  EXPECT_THROW(run("{{ missing.name }}"), Error);
  EXPECT_THROW(run("{% if x %}"), Error);
  EXPECT_THROW(run("{% import 'x' %}"), Error);
  EXPECT_THROW(run("{% for i in range(1000000) %}{% for j in range(1000000) %}{% endfor %}{% endfor %}"),
               Error);
  EXPECT_THROW(run("{{ " + std::string(5000, '(') + " }}"), Error);
}
}  // namespace
}  // namespace ferry::tokenizers::jinja
