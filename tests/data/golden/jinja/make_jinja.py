#!/usr/bin/env python3
"""Renders chat templates with Jinja, set up as transformers does, for comparison with src/text/jinja.

    make_jinja.py > cases.json              the templates below, which are this project's own
    make_jinja.py FOLDER > cases.json       all *.jinja of a folder (tools/compare-jinja)

Needs python3-jinja2. The output says which version made it."""
import datetime
import glob
import json
import os
import platform
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox

DATE = "26 Jul 2024"


class Generation(jinja2.ext.Extension):
    """The tag that transformers adds; its body is rendered as it is."""
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        return datetime.datetime.strptime(DATE, "%d %b %Y").strftime(form)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def contexts():
    def talk(*turns, **more):
        roles = {"s": "system", "u": "user", "a": "assistant"}
        messages = [{"role": roles[kind], "content": content} for kind, content in turns]
        return {"messages": messages, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>",
                "tools": None, "documents": None, **more}

    tool = {"type": "function", "function": {
        "name": "add", "description": "Adds \"a\" and b.",
        "parameters": {"type": "object", "properties": {
            "a": {"type": "number", "description": "the first"},
            "b": {"type": "number", "enum": [1, 2.5]}}, "required": ["a", "b"]}}}
    thought = talk(("u", "1+1?"), ("a", "<think>\nEasy.\n</think>\n\n2"), ("u", "And 2+2?"))
    thought["messages"][1]["reasoning_content"] = "Easy."
    parts = talk(("u", "x"))
    parts["messages"][0]["content"] = [{"type": "text", "text": "How many? "}, {"type": "text", "text": "Say it."}]
    return [
        talk(("u", "How many pens?")),
        talk(("s", "Be brief."), ("u", "How many pens?")),
        talk(("u", "a"), ("a", "b"), ("u", "c")),
        talk(("s", "Sys"), ("u", "a"), ("a", "b"), ("u", "c"), ("a", "d"), add_generation_prompt=False),
        talk(("s", " \n spaced\t"), ("u", "  How many?  \n\n")),
        talk(("u", "<|im_end|>\n<|im_start|>system {{ x }} {% if %} ünïcödé ☃ 𝄞 'quotes\" \\n")),
        talk(("u", "Why?"), enable_thinking=False),
        talk(("s", "S"), ("u", "Why?"), enable_thinking=True, date_string="01 Jan 2025"),
        talk(("s", ""), ("u", "Why?")),
        thought,
        talk(("u", "What is 1+2?"), tools=[tool]),
        parts,
    ]


# One construct after another, as published templates write them.
TEMPLATES = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
              "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
              "{% endif %}",
    "default system": "{%- if messages[0].role == 'system' %}\n{{- '<sys>' ~ messages[0].content ~ '</sys>' }}\n"
                      "{%- else %}\n    {{- '<sys>You are helpful.</sys>' }}\n{%- endif %}\n"
                      "{%- for m in messages if m.role != 'system' %}\n  [{{ loop.index }}/{{ loop.length }}] "
                      "{{ m.content | string }}\n{%- else %}none{% endfor %}",
    "white space": "a \n  {% if true %}\n b\n  {%- endif -%}  \n c {{- 'd' -}} \n e\n  {# comment #}\n f\n"
                   "\t{%+ if true %}g{% endif +%}\n{#- x -#} h {%- raw %} {{ raw }} {% endraw -%}  i\n\n",
    "system first": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
                    "{% set system_message = messages[0]['content'] | trim + '\n\n' %}{% else %}"
                    "{% set loop_messages = messages %}{% set system_message = '' %}{% endif %}"
                    "{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
                    "{{ raise_exception('Roles must alternate') }}{% endif %}"
                    "{% if loop.first %}{% set content = system_message + message['content'] | string %}{% else %}"
                    "{% set content = message['content'] | string %}{% endif %}"
                    "{% if message['role'] == 'user' %}{{ '[INST] ' + content.strip() + ' [/INST]' }}"
                    "{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}"
                    "{% endfor %}",
    "namespace": "{%- set ns = namespace(last=-1, found=false) %}{%- for m in messages[::-1] %}"
                 "{%- set index = (messages | length - 1) - loop.index0 %}"
                 "{%- if not ns.found and m.role == 'user' and m.content is string and "
                 "not (m.content.startswith('<tool_response>') and m.content.endswith('</tool_response>')) %}"
                 "{%- set ns.found = true %}{%- set ns.last = index %}{%- endif %}{%- endfor %}last={{ ns.last }} "
                 "{{ ns.missing is defined }}",
    "reasoning": "{%- for m in messages %}{%- set content = m.content %}{%- set reasoning = '' %}"
                 "{%- if m.reasoning_content is defined and m.reasoning_content is not none %}"
                 "{%- set reasoning = m.reasoning_content %}{%- elif '</think>' in m.content %}"
                 "{%- set content = m.content.split('</think>')[-1].lstrip('\\n') %}"
                 "{%- set reasoning = m.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1] %}{%- endif %}"
                 "<{{ m.role }}>{% if reasoning %}({{ reasoning.strip('\\n') }}){% endif %}{{ content }}\n"
                 "{%- endfor %}{%- if add_generation_prompt %}<assistant>"
                 "{%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n' }}"
                 "{%- endif %}{%- endif %}",
    "date": "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
            "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}{%- set date_string = 'no date' %}"
            "{%- endif %}{%- endif %}Today: {{ date_string }} {{ strftime_now('%A %-d %B, week %U') }}",
    "macros": "{% macro turn(role, text='?', end='\n') %}{{ '<' + role + '>' + text + end }}{% endmacro %}"
              "{% macro twice(x) -%} {{ turn(x) }}{{ turn(x, end='!') }} {%- endmacro %}"
              "{% for m in messages %}{{ turn(m.role, m.content | string | trim) }}{% endfor %}{{ twice('z') }}"
              "{{ turn('a', end='|', text='b') }}",
    "tools": "{% if tools %}{% for tool in tools %}{{ tool | tojson }}\n{{ tool | tojson(indent=4) }}\n"
             "{{ tool.function | tojson(ensure_ascii=True, sort_keys=True) }}\n"
             "{% for name, p in tool.function.parameters.properties.items() %}{{ name }}: {{ p.type }}"
             "{{ ' = ' + p.enum | join('|') if p.enum is defined else '' }}{{ ',' if not loop.last }}{% endfor %}"
             "{% endfor %}{% else %}no tools{% endif %}{{ [1, 'ü', none, true, 1.0, 1e30, {}] | tojson }}",
    "parts": "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% elif m.content is iterable %}"
             "{% for part in m.content %}{% if part.type == 'text' %}{{ part['text'] | trim }}{% endif %}{% endfor %}"
             "{% endif %}{{ m.content is sequence }}{{ m.content is mapping }}{{ m is mapping }}{% endfor %}",
    "lists": "{% set l = [3, 1, 2] %}{{ l | sort }} {{ l | sort(reverse=true) }} {{ l | min }} {{ l | max }} {{ l | first }}"
             " {{ l | last }} {{ l + [4] }} {{ (1, 'a') }} {{ (1,) }} {{ l | reverse | list }} {{ 2 in l }} {{ 5 not in l }}"
             " {{ ['b', 'A', 'a', 'B'] | sort }} {{ ['b', 'A', 'a', 'B'] | unique | list }} {{ range(2, 9, 3) | list }}"
             " {{ l[1:] }} {{ l[-1] }} {{ l[::-1] }} {{ l[5] is defined }} {{ [] | first is defined }} {{ range(3)[1] }}",
    "dicts": "{% set d = {'b': 1, 'A': [1, {'x': 'it\\'s'}], 'c': none} %}{{ d }} {{ d | dictsort }} {{ d.get('b') }} "
             "{{ d.get('z', 'no') }} {{ d['z'] is undefined }} {{ d | items | list }} {{ d.keys() | list }} "
             "{{ d.values() | list }} {{ d | length }} {{ 'A' in d }} {{ d.A[1].x }} {% for k in d %}{{ k }}{% endfor %} "
             "{{ {'a': 1} == {'a': 1.0} }} {{ d | tojson }}",
    "select": "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} "
              "{{ messages | rejectattr('role', 'in', ['system', 'user']) | map(attribute='role') | join(',') }} "
              "{{ messages | map(attribute='role') | map('upper') | join(' ') }} "
              "{{ [0, 1, none, 'a'] | select | list }} {{ [1, 2, 3, 4] | reject('odd') | list }} "
              "{{ messages | map(attribute='nothing', default='-') | list | length }} "
              "{{ messages | selectattr('reasoning_content') | list | length }} "
              "{{ messages | selectattr('reasoning_content', 'defined') | map(attribute='content') | first | default('none') }}",
    "strings": "{% set s = '  Hello, World \\t' %}[{{ s.strip() }}][{{ s.lstrip() }}][{{ s.rstrip() }}][{{ s | trim }}]"
               "[{{ 'xxaxx'.strip('x') }}][{{ 'a,b,,c'.split(',') }}][{{ ' a  b '.split() }}][{{ 'a,b,c'.split(',', 1) }}]"
               "[{{ 'a.b.c'.rsplit('.', 1) }}][{{ 'aXbX'.replace('X', '--') }}][{{ 'aaa' | replace('a', 'b', 2) }}]"
               "[{{ 'abc'.upper() }}{{ 'ÄÖ'.lower() }}{{ 'hello world' | capitalize }}{{ 'hello wOrld'.title() }}]"
               "[{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'bc')) }}{{ 'abc'.find('c') }}]"
               "[{{ 'a\\nb\\n\\nc' | indent(2) }}][{{ 'a\\nb' | indent(1, true) }}][{{ 'äöü'[1] }}{{ 'äöü'[1:] }}{{ 'äöü' | length }}]"
               "[{{ 'a' 'b' }}{{ \"\\x41\\u00e9\\101\\q\" }}{{ 'a' * 3 }}{{ '-'.join(['x', 'y']) }}][{{ 'a\\nb'.splitlines() }}]",
    "numbers": "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 * 3 + 1 }} {{ 1.5 + 1 }} {{ 1e16 }} "
               "{{ 1e15 }} {{ 0.1 + 0.2 }} {{ 1e-5 }} {{ 1_000 }} {{ '12' | int }} {{ 'x' | int(3) }} {{ 3.9 | int }} "
               "{{ -3 | abs }} {{ 1 == 1.0 }} {{ true + 1 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 2 ** 2.0 }} {{ -0.0 }}",
    "logic": "{{ 1 and 0 or 'x' }} {{ not none }} {{ none is none }} {{ x is not defined }} {{ x | default('d') }} "
             "{{ '' | default('e', true) }} {{ 'a' if false }}|{{ 'a' if false else 'b' if 0 else 'c' }} {{ x }}| "
             "{{ 1 is number }} {{ 'a' is string }} {{ true is boolean }} {{ 1 is boolean }} {{ 4 is divisibleby 2 }} "
             "{{ 3 is odd }} {{ 3 is even }} {{ 1.0 is float }} {{ 2 is integer }} {{ 'a' is eq 'a' }} {{ 2 is gt(1) }} "
             "{{ 'a' ~ 1 ~ none ~ true }} {{ x is iterable }} {{ [] is sequence }} {{ none == false }} {{ 'a' < 'b' }}",
    "loops": "{% for m in messages %}{% if loop.first %}({% endif %}{{ loop.index0 }}{{ loop.revindex }}"
             "{% if loop.previtem is defined %}<{{ loop.previtem.role }}{% endif %}"
             "{% if loop.nextitem is defined %}>{{ loop.nextitem.role }}{% endif %}{% if loop.last %}){% endif %}{% endfor %}"
             "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}"
             "{% endfor %}{% for a, b in [(1, 2), (3, 4)] %}{{ a }}-{{ b }};{% endfor %}"
             "{% for x in [] %}{% else %}empty{% endfor %}{% set n = 0 %}{% for i in [1, 2] %}{% set n = n + i %}{{ n }}"
             "{% endfor %}{{ n }}{% for c in 'äb' %}{{ c }}.{% endfor %}{% for o in [1, 2] %}{% for i in [1, 2] %}"
             "{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "blocks": "{% set text %}  {{ messages[0].role }} {% endset %}[{{ text }}]{% set t | trim | upper %} x {% endset %}[{{ t }}]"
              "{% filter upper %}abc {{ messages[0].role }}{% endfilter %}{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}"
              "{{ a is defined }}{% generation %}g{% endgeneration %}{% set a, b = 1, [2] %}{{ a }}{{ b }}"
              "{% set x = {'k': 'v'} %}{{ x.k }}{{ x['k'] }}{{ x.items }}" .replace("{{ x.items }}", ""),
    "scope": "{% set a = 1 %}{% macro show() %}{{ a }}{% endmacro %}{% set a = 2 %}{{ show() }}{% if true %}{% set a = 3 %}"
             "{% endif %}{{ a }}{% for i in [1] %}{% set a = 4 %}{{ a }}{{ show() }}{% endfor %}{{ a }}",
    "raises": "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
              "{% if messages | length > 2 %}{{ messages[9].role }}{% endif %}{{ messages[0].role }}"
              "{% if enable_thinking is defined %}{{ 'a' + 1 }}{% endif %}",
}


def render(env, source, context):
    try:
        return {"text": env.from_string(source).render(**context)}
    except Exception as error:  # whatever is raised, the template does not render
        return {"error": f"{type(error).__name__}: {error}"[:200]}


def main():
    templates = TEMPLATES
    if len(sys.argv) > 1:
        paths = sorted(glob.glob(os.path.join(sys.argv[1], "*.jinja")))
        templates = {os.path.basename(path): open(path, encoding="utf-8").read() for path in paths}
    env, given = environment(), contexts()
    cases = [{"name": name, "source": source, "results": [render(env, source, context) for context in given]}
             for name, source in templates.items()]
    json.dump({"made_by": "make_jinja.py", "jinja2": jinja2.__version__, "python": platform.python_version(),
               "date": DATE, "contexts": given, "templates": cases}, sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
