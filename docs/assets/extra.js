// Tables that scroll can be scrolled by the keyboard.
document$.subscribe(({ body }) => {
  for (const table of body.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0;
});
