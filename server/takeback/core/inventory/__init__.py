"""The inventory: what the tools of an upstream do, judged from what they say of themselves, and rules drafted from it.

It is pure: definitions come in, judgements with their evidence come out. The principle is that nothing a tool says
makes it harmless by itself. A tool is drafted as a read when two sources that are independent of each other say so (its
name, the words of its description, its annotations, its HTTP method) and nothing speaks against it; everything else is
a write, and what is not understood is the most careful kind of write, and said to be a guess.

    words, verbs, prose      names and sentences: what is done, and to what
    arguments, offered       a definition taken apart: identities, contents, switches, commands, actions
    judging                  read, write or unsure, with the findings for and against
    entities                 which tools speak of the same kind of thing
    lookback, wayback        the tool that shows what was changed, and the one that takes it back
    classes, rules           class, effect and risk, and the rule that says so
    drafting                 all of it for one upstream, with the reasons
    tables, documents        as TOML with comments, and as JSON
"""
