"""What report.html looks like: on a screen, on a projector, on paper. Its colours differ for those who see few, too."""

CSS = """
:root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#17202b;--soft:#54606e;--line:#d9dee5;--grid:#e8ebf0;
--good:#00694d;--good-bg:#e2f4ec;--bad:#a3221b;--bad-bg:#fce8e6;--open:#7a5600;--open-bg:#fdf2d8;--old:#0072b2;
--new:#e69f00;--third:#009e73;--other:#8a939e;--p99:#a3221b;--p50:#17202b}
@media (prefers-color-scheme:dark){:root{--paper:#10151b;--card:#182029;--ink:#e9eef4;--soft:#a3b0be;--line:#2f3a46;
--grid:#25303b;--good:#5fd3a8;--good-bg:#123528;--bad:#ff9a90;--bad-bg:#43201d;--open:#f2c25a;--open-bg:#3c2f10;
--old:#4aa8e0;--new:#f0b330;--third:#3ccf9f;--other:#8b97a3;--p99:#ff9a90;--p50:#e9eef4}}
*{box-sizing:border-box}
html{font-size:clamp(15px,.62vw + 8px,20px)}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:84rem;margin:0 auto;padding:1.5rem 1.5rem 3rem}
h1{font-size:3.1rem;line-height:1.05;letter-spacing:-.02em;margin:0}
h2{font-size:1.15rem;margin:0 0 .75rem}
p{margin:.25rem 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1.1rem 1.3rem;margin-top:1rem;
overflow-wrap:anywhere}
.verdict{display:flex;gap:1.3rem;align-items:center;border-left:.6rem solid}
.verdict .mark{font-size:3rem;line-height:1;font-weight:700;min-width:3.4rem;text-align:center}
.verdict .went{font-size:1.15rem;margin-top:.35rem}
.verdict .when{color:var(--soft)}
.good{background:var(--good-bg);border-color:var(--good)}.good h1,.good .mark{color:var(--good)}
.bad{background:var(--bad-bg);border-color:var(--bad)}.bad h1,.bad .mark{color:var(--bad)}
.open{background:var(--open-bg);border-color:var(--open)}.open h1,.open .mark{color:var(--open)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.2rem,1fr));gap:1rem;margin:1rem 0 0;padding:0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1.1rem;margin:0}
.tile dt{color:var(--soft);font-size:.87rem}
.tile dd{margin:0;font-size:1.65rem;font-weight:650;line-height:1.25;letter-spacing:-.01em;white-space:nowrap}
.tile dd small{display:block;font-size:.82rem;font-weight:400;color:var(--soft);letter-spacing:0;line-height:1.35;
white-space:normal}
.columns{columns:27rem 2;column-gap:1rem;margin-top:1rem}
.columns>.card{break-inside:avoid;margin:0 0 1rem}
table{border-collapse:collapse;width:100%;font-size:.93rem}
th,td{text-align:left;padding:.34rem .7rem .34rem 0;border-bottom:1px solid var(--grid);vertical-align:top}
th{color:var(--soft);font-weight:500;font-size:.84rem;border-color:var(--line)}
tr:last-child td{border-bottom:0}
th,td.k{white-space:nowrap;overflow-wrap:normal}
.n{text-align:right}.n+:not(.n){padding-left:1.2rem}
.wide{overflow-x:auto}
.lead{font-size:1.08rem}
.muted{color:var(--soft)}
.do{color:var(--soft)}.do::before{content:"\\2192\\00a0"}
ul.plain{list-style:none;margin:0;padding:0}ul.plain li+li{margin-top:.6rem}
dl.told{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem;margin:0}
dl.told dt{color:var(--soft)}dl.told dd{margin:0;min-width:0}
pre,code{font:.88rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
pre{background:var(--paper);border:1px solid var(--line);border-radius:.4rem;padding:.6rem .8rem;margin:.2rem 0;
white-space:pre-wrap;overflow-wrap:anywhere}
details{margin-top:1rem}summary{cursor:pointer;color:var(--soft)}
figure{margin:0}svg{display:block;width:100%;height:auto}
.moments{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;margin:.6rem 0 0;padding:0;list-style:none;color:var(--soft);
font-size:.87rem}
.moments b{display:inline-block;min-width:1.25rem;text-align:center;border:1px solid var(--soft);border-radius:.7rem;
margin-right:.35rem;font-weight:500;font-size:.78rem;color:var(--ink)}
footer{color:var(--soft);font-size:.84rem;margin-top:1.5rem}
svg text{fill:var(--soft);font-size:12.5px;font-family:inherit}
svg .title{fill:var(--ink);font-weight:600;font-size:13.5px}
svg .title,svg .strong{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
svg .strong{fill:var(--ink)}
svg .end{text-anchor:end}svg .mid{text-anchor:middle}
svg .grid{stroke:var(--grid);stroke-width:1}svg .axis{stroke:var(--line);stroke-width:1}
svg .wave{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:5 4}svg .moment{stroke:var(--soft);stroke-width:1;
stroke-dasharray:1.5 3.5}
svg .ends{fill:var(--ink);opacity:.045}
svg .v0{fill:var(--old)}svg .v1{fill:var(--new)}svg .v2{fill:var(--third)}svg .v3{fill:var(--other)}
svg .hatch{stroke:var(--card);stroke-width:1.6;opacity:.55}
svg .p99,svg .p50{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}
svg .p99{stroke:var(--p99)}svg .p50{stroke:var(--p50);stroke-dasharray:1 5}
svg .dot99{fill:var(--p99)}svg .dot50{fill:var(--p50)}
svg .drop{fill:var(--bad)}svg .dropped{fill:var(--bad);font-weight:600}
svg .pill{fill:var(--card);stroke:var(--soft)}svg .interval{stroke:var(--ink);stroke-width:3;stroke-linecap:round}
svg .point{fill:var(--ink)}svg .one{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:5 4}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--grid:#ddd;--good:#00553e;--bad:#8c1d17;
--open:#6b4b00;--good-bg:#fff;--bad-bg:#fff;--open-bg:#fff;--old:#0072b2;--new:#e69f00;--p50:#000;--p99:#8c1d17;
color-scheme:light}
html{font-size:11px}main{padding:0;max-width:none}.card,.tile,tr,figure{break-inside:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}details::details-content{content-visibility:visible;
height:auto}details.long{display:none}}
"""
