// The index of entities: searches the shards of names, shows where a name occurs. names.py tells what the scripts hold.
"use strict";
(function (rayner) {
  var settings = JSON.parse(document.getElementById("settings").textContent);
  var form = document.getElementById("search"), list = document.getElementById("names");
  var heading = document.getElementById("heading"), status = document.getElementById("status");
  var more = document.getElementById("more");
  var AT_ONCE = 100, PLACES = 200;
  var query = new URLSearchParams(location.search), make = rayner.make;
  var found = settings.top, shown = 0, current = 0, told = null;

  function tell() {
    told = Array.from(arguments);
    status.textContent = rayner.say.apply(null, told);
  }
  function number(value) { return value.toLocaleString("en"); }

  // ---- searching

  /** The numbers of the shards that may hold names with a text in them, or at their beginning. */
  function shardsOf(text, begins) {
    var point = text.codePointAt(0);
    return settings.shards.map(function (_, i) { return i; }).filter(function (i) {
      return !begins || (settings.shards[i][0] <= point && point <= settings.shards[i][1]);
    });
  }

  async function search() {
    var mine = ++current, text = form.q.value, begins = form.how.value === "begins";
    var type = form.type.value === "" ? null : Number(form.type.value), rows = [];
    function fits(row) {
      return (type === null || row[1] === type) && (begins ? row[0].startsWith(text) : row[0].includes(text));
    }
    address(text, type);
    if (!text) {
      rows = settings.top.filter(fits);
      if (type === null) { rows = rows.slice(0, AT_ONCE); }
    } else {
      var wanted = shardsOf(text, begins);
      for (var i = 0; i < wanted.length; i += 1) {
        if (wanted.length > 3) { tell("reading", String(i + 1), String(wanted.length)); }
        try {
          rows = rows.concat((await rayner.read("names/" + wanted[i])).filter(fits));
        } catch (error) {
          tell("not_read", error.message);
          return;
        }
        if (mine !== current) { return; }
      }
      rows.sort(function (a, b) { return (b[0] === text) - (a[0] === text) || b[2] - a[2]; });
    }
    heading.querySelector("span").hidden = Boolean(text);
    found = rows;
    shown = 0;
    list.replaceChildren();
    tell("found", number(rows.length));
    show();
    if (text && rows.length && rows[0][0] === text && query.get("q") === text) {
      list.querySelector("details").open = true;
      query.delete("q");
    }
  }
  /** Keeps the search in the address, where the browser lets files do so. */
  function address(text, type) {
    var url = new URL(location.href);
    [["q", text], ["type", type === null ? "" : type]].forEach(function (pair) {
      if (pair[1] === "") { url.searchParams.delete(pair[0]); } else { url.searchParams.set(pair[0], pair[1]); }
    });
    try { history.replaceState(null, "", url.href); } catch (denied) { /* then it is not kept */ }
  }

  // ---- showing names

  function show() {
    found.slice(shown, shown + AT_ONCE).forEach(function (row) { list.append(item(row)); });
    shown = Math.min(found.length, shown + AT_ONCE);
    more.hidden = shown === found.length;
  }
  function item(row) {
    var name = make("span", { class: "name t" + row[1], lang: "lzh" });
    name.append(rayner.rare(row[0]));
    var about = [
      name,
      make("span", { class: "kind", text: rayner.kind(row[1]) }),
      make("span", { class: "number", text: rayner.say("times", number(row[2])) }),
      make("span", { class: "number", text: rayner.say("in_documents", number(row[3])) }),
      row[4] === null ? null : make("span", { class: "number", text: rayner.say("mean_confidence", row[4].toFixed(3)) })
    ];
    var details = make("details", {}, [make("summary", {}, about)]);
    details.addEventListener("toggle", function () {
      if (details.open && details.children.length === 1) {
        var places = make("div", { class: "places" });
        details.append(places);
        showPlaces(places, row, readPlaces(row));
      }
    });
    return make("li", {}, [details]);
  }

  // ---- showing where a name occurs

  /** Each place of a name in turn: [document, page, offset, context or null]. */
  async function* readPlaces(row) {
    var file = row[5], at = row[6], left = row[2], seen = 0;
    while (left) {
      var rows = await rayner.read("places/" + file);
      if (at === rows.length) { file += 1; at = 0; continue; }
      var groups = rows[at][0].split(";"), contexts = rows[at][1];
      for (var i = 0; i < groups.length; i += 1) {
        var parts = groups[i].split(/[.:,]/).map(function (part) { return parseInt(part, 36); });
        for (var j = 2; j < parts.length; j += 1) {
          yield [parts[0], parts[1], parts[j], seen < settings.contexts && contexts[seen] || null];
          seen += 1;
          left -= 1;
        }
      }
      at += 1;
    }
  }

  async function showPlaces(into, row, places) {
    var document_ = -1, places_ = null, button = null;
    async function on() {
      for (var i = 0; i < PLACES; i += 1) {
        var next = await places.next();
        if (next.done) { return button && button.remove(); }
        var place = next.value;
        if (place[0] !== document_) {
          document_ = place[0];
          var titles = await rayner.read("titles/" + Math.floor(document_ / settings.titles));
          var title = make("h3", { lang: "lzh" });
          title.append(rayner.rare(titles[document_ % settings.titles]));
          places_ = make("ul");
          into.append(title, places_);
        }
        places_.append(link(row, place));
      }
      if (!button) {
        button = make("button", { type: "button", text: rayner.say("more") });
        button.addEventListener("click", run);
      }
      into.append(button);
    }
    function run() {
      on().catch(function (error) { into.append(make("p", { text: rayner.say("not_read", error.message) })); });
    }
    run();
  }
  function link(row, place) {
    var page = place[1] ? "-" + (place[1] + 1) : "";
    var path = "d/" + Math.floor(place[0] / 1000) + "/" + place[0] + page + ".html#c" + place[2];
    var to = make("a", { href: rayner.up + path, text: number(place[2]) });
    if (!place[3]) { return make("li", {}, [to]); }
    var parts = [make("span", { lang: "lzh" }), make("b", { lang: "lzh" }), make("span", { lang: "lzh" })];
    [place[3][0], row[0], place[3][1]].forEach(function (text, i) { parts[i].append(rayner.rare(text)); });
    return make("li", { class: "line-of" }, [to].concat(parts));
  }

  var waiting = 0;
  form.addEventListener("input", function () {
    clearTimeout(waiting);
    waiting = setTimeout(search, 150);
  });
  form.addEventListener("submit", function (event) { event.preventDefault(); search(); });
  more.addEventListener("click", show);
  document.addEventListener("rayner-language", function () {
    if (told) { tell.apply(null, told); }
    var open = list.querySelectorAll("details[open]").length;
    if (!open) { list.replaceChildren(); shown = 0; show(); }
  });
  form.q.value = query.get("q") || "";
  if (query.get("type") && form.type.querySelector('option[value="' + Number(query.get("type")) + '"]')) {
    form.type.value = query.get("type");
  }
  form.hidden = false;
  search();
})(window.rayner);
