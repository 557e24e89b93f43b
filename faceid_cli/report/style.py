"""The look of a report: one column on a phone, several on a wide screen, light and dark as the reader has it."""

STYLE = """
:root { color-scheme: light dark; --paper: #faf9f6; --ink: #2a2825; --soft: #6b665f; --line: #dcd8cf; --card: #fff;
  --strong: #0b6e99; --good: #1f7a37; --fair: #8a5a00; --bad: #b3372b; }
@media (prefers-color-scheme: dark) { :root { --paper: #191816; --ink: #ece9e2; --soft: #a8a298; --line: #3b3833;
  --card: #24221f; --strong: #63b8e0; --good: #6cc981; --fair: #e0ae55; --bad: #f08a7e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
p { margin: .5rem 0; } .note, figcaption { color: var(--soft); font-size: .9rem; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) minmax(0, 1fr); gap: .15rem 1rem;
  margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
.cards, .pictures { display: grid; gap: .75rem; }
.cards { grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
.pictures { grid-template-columns: repeat(auto-fill, minmax(min(8.5rem, 46%), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem; }
.card h3 { margin-top: 0; } figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; border-radius: .25rem; }
.pictures img { width: 100%; }
.good { color: var(--good); } .fair { color: var(--fair); } .left { color: var(--bad); }
svg { display: block; width: 100%; max-width: 34rem; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--soft); } svg path, svg polyline { fill: none; }
.axis { stroke: var(--line); } .faint { stroke: var(--strong); opacity: .3; }
.strong { stroke: var(--strong); stroke-width: 2; stroke-linejoin: round; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } th { color: var(--soft); font-weight: 500; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem; margin: .5rem 0;
  white-space: pre-wrap; font-size: .9rem; }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .85rem; }
"""
