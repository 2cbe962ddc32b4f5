"""The style of the page of a repair, and the words about its limits."""

STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--soft:#5b6470;--page:#fbfbfa;
--line:#dfe2e6;--pale:#b9c3cd;--strong:#0072b2}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#a3abb5;--page:#16181b;
--line:#343a41;--pale:#59636e;--strong:#56b4e9}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:46rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
h3{font-size:1rem;margin:0 0 .6rem}
.notes{padding-left:1.1rem;font-size:.85rem}
small,.notes,.lead,.chance,footer,dt{color:var(--soft)}
.lead{margin-top:0}
.bars{border:1px solid var(--line);border-radius:10px;padding:1rem;margin:1.2rem 0}
.bar{display:grid;grid-template-columns:3.6rem 1fr 3rem;gap:.6rem;
align-items:center;margin:.4rem 0}
.track{position:relative;height:1.4rem;background:var(--line);border-radius:4px}
.fill{height:100%;background:var(--pale);border-radius:4px}
.fill.strong{background:var(--strong)}
.line{position:absolute;top:-.3rem;bottom:-.3rem;border-left:2px dashed var(--ink)}
.chance{margin:.5rem 0 0;font-size:.85rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid var(--line);
vertical-align:top}
th{font-weight:600;font-size:.85rem;color:var(--soft)}
td+td{min-width:3.4rem}
dl{display:grid;grid-template-columns:8.5rem 1fr;gap:.35rem .8rem;margin:0}
dd{margin:0;overflow-wrap:anywhere}
figure{margin:2rem 0}
figcaption{font-weight:600;margin-bottom:.5rem;overflow-wrap:anywhere}
img{display:block;width:100%;height:auto;background:#fff;border-radius:10px;padding:.5rem}
footer{margin-top:2.5rem;font-size:.85rem}
@media (max-width:34rem){dl{grid-template-columns:1fr}dt{margin-top:.4rem}img{min-width:33rem}}
"""

LIMITS = """<ul>
<li><b>Equalised odds.</b> The columns of all groups have one law; rates of errors given the
outcome may still differ. They depend on the rates in the labels, which no repair of columns
changes.</li>
<li><b>Causal validity.</b> A repair equalises laws. It does not tell why they differed, nor what
would have happened to a person of another group.</li>
<li><b>Protection where the group is unknown.</b> Rows are repaired by their group. Without it,
this repair cannot be used; with a wrong one, it may do harm.</li>
<li><b>Identified counterfactuals.</b> Without pairs of rows, data do not determine who of one
group corresponds to whom of another. A moved row is one choice among many.</li>
<li><b>Legal compliance.</b> What the law asks for depends on the place and the use. Figures on a
page are no legal opinion.</li>
<li><b>Columns that were carried along</b>, such as the outcome and the groups themselves, are as
they were. A model that is given them may learn the group from them.</li>
</ul>"""
