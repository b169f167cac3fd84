// The index of entities: searches the name scripts and shows where a name occurs. name_index.py describes the scripts.
"use strict";
(function (rayner) {
  var settings = JSON.parse(document.getElementById("settings").textContent);
  var form = document.getElementById("search"), list = document.getElementById("names");
  var heading = document.getElementById("heading"), status = document.getElementById("status");
  var more = document.getElementById("more");
  var ROWS_AT_ONCE = 100, PLACES_AT_ONCE = 200;
  var query = new URLSearchParams(location.search), make = rayner.makeElement;
  var matches = settings.top, nShown = 0, lastSearch = 0, statusText = null;
  // Fields of a row of a name script.
  var NAME = 0, TYPE = 1, TIMES = 2, DOCUMENTS = 3, MEAN_SCORE = 4, PLACES_FILE = 5, PLACES_ROW = 6;

  function setStatus() {
    statusText = Array.from(arguments);
    status.textContent = rayner.translate.apply(null, statusText);
  }
  function formatInteger(value) { return value.toLocaleString("en"); }

  // ---- searching

  /** The numbers of the name scripts that may hold a name which contains the text, or begins with it. */
  function scriptsToSearch(text, begins) {
    var point = text.codePointAt(0);
    return settings.shards.map(function (_, i) { return i; }).filter(function (i) {
      return !begins || (settings.shards[i][0] <= point && point <= settings.shards[i][1]);
    });
  }

  async function search() {
    var thisSearch = ++lastSearch, text = form.q.value, begins = form.how.value === "begins";
    var type = form.type.value === "" ? null : Number(form.type.value), rows = [];
    function isMatch(row) {
      var nameMatches = begins ? row[NAME].startsWith(text) : row[NAME].includes(text);
      return (type === null || row[TYPE] === type) && nameMatches;
    }
    saveInAddress(text, type);
    if (!text) {
      rows = settings.top.filter(isMatch);
      if (type === null) { rows = rows.slice(0, ROWS_AT_ONCE); }
    } else {
      var scripts = scriptsToSearch(text, begins);
      for (var i = 0; i < scripts.length; i += 1) {
        if (scripts.length > 3) { setStatus("reading", String(i + 1), String(scripts.length)); }
        try {
          rows = rows.concat((await rayner.loadData("names/" + scripts[i])).filter(isMatch));
        } catch (error) {
          setStatus("not_read", error.message);
          return;
        }
        if (thisSearch !== lastSearch) { return; }
      }
      rows.sort(function (a, b) { return (b[NAME] === text) - (a[NAME] === text) || b[TIMES] - a[TIMES]; });
    }
    heading.querySelector("span").hidden = Boolean(text);
    matches = rows;
    nShown = 0;
    list.replaceChildren();
    setStatus("found", formatInteger(rows.length));
    showRows();
    if (text && rows.length && rows[0][NAME] === text && query.get("q") === text) {
      list.querySelector("details").open = true;
      query.delete("q");
    }
  }
  /** Save the search in the address of the page. Some browsers do not allow this for files. */
  function saveInAddress(text, type) {
    var url = new URL(location.href);
    [["q", text], ["type", type === null ? "" : type]].forEach(function (pair) {
      if (pair[1] === "") { url.searchParams.delete(pair[0]); } else { url.searchParams.set(pair[0], pair[1]); }
    });
    try { history.replaceState(null, "", url.href); } catch (denied) { /* the address stays as it is */ }
  }

  // ---- showing names

  function showRows() {
    matches.slice(nShown, nShown + ROWS_AT_ONCE).forEach(function (row) { list.append(nameItem(row)); });
    nShown = Math.min(matches.length, nShown + ROWS_AT_ONCE);
    more.hidden = nShown === matches.length;
  }
  function nameItem(row) {
    var name = make("span", { class: "name t" + row[TYPE], lang: "lzh" }), mean = row[MEAN_SCORE];
    name.append(rayner.textNodes(row[NAME]));
    function numberSpan(column, key, value) {
      return make("span", { class: "number " + column, text: rayner.translate(key, value) });
    }
    var parts = [
      name,
      make("span", { class: "type", text: rayner.typeLabel(row[TYPE]) }),
      numberSpan("times", "times", formatInteger(row[TIMES])),
      numberSpan("documents", "in_documents", formatInteger(row[DOCUMENTS])),
      mean === null ? null : numberSpan("confidence", "mean_confidence", mean.toFixed(3))
    ];
    var details = make("details", {}, [make("summary", {}, parts)]);
    details.addEventListener("toggle", function () {
      if (details.open && details.children.length === 1) {
        var container = make("div", { class: "places" });
        details.append(container);
        showPlaces(container, row, readPlaces(row));
      }
    });
    return make("li", {}, [details]);
  }

  // ---- showing where a name occurs

  /** Yield each place of a name in turn: [document, page, offset, context or null]. */
  async function* readPlaces(row) {
    var file = row[PLACES_FILE], line = row[PLACES_ROW], nLeft = row[TIMES], nRead = 0;
    while (nLeft) {
      var lines = await rayner.loadData("places/" + file);
      if (line === lines.length) { file += 1; line = 0; continue; }
      var groups = lines[line][0].split(";"), contexts = lines[line][1];
      for (var i = 0; i < groups.length; i += 1) {
        var numbers = groups[i].split(/[.:,]/).map(function (digits) { return parseInt(digits, 36); });
        for (var j = 2; j < numbers.length; j += 1) {
          yield [numbers[0], numbers[1], numbers[j], nRead < settings.contexts && contexts[nRead] || null];
          nRead += 1;
          nLeft -= 1;
        }
      }
      line += 1;
    }
  }

  async function showPlaces(container, row, places) {
    var lastDocument = -1, placeList = null, button = null;
    async function showMore() {
      for (var i = 0; i < PLACES_AT_ONCE; i += 1) {
        var next = await places.next();
        if (next.done) { return button && button.remove(); }
        var place = next.value;
        if (place[0] !== lastDocument) {
          lastDocument = place[0];
          var titles = await rayner.loadData("titles/" + Math.floor(lastDocument / settings.titles));
          var title = make("h3", { lang: "lzh" });
          title.append(rayner.textNodes(titles[lastDocument % settings.titles]));
          placeList = make("ul");
          container.append(title, placeList);
        }
        placeList.append(placeItem(row, place));
      }
      if (!button) {
        button = make("button", { type: "button", text: rayner.translate("more") });
        button.addEventListener("click", showMoreOrError);
      }
      container.append(button);
    }
    function showMoreOrError() {
      showMore().catch(function (error) {
        container.append(make("p", { text: rayner.translate("not_read", error.message) }));
      });
    }
    showMoreOrError();
  }
  function placeItem(row, place) {
    var page = place[1] ? "-" + (place[1] + 1) : "";
    var path = "d/" + Math.floor(place[0] / 1000) + "/" + place[0] + page + ".html#c" + place[2];
    var link = make("a", { href: rayner.up + path, text: formatInteger(place[2]) });
    if (!place[3]) { return make("li", {}, [link]); }
    var parts = [make("span", { lang: "lzh" }), make("b", { lang: "lzh" }), make("span", { lang: "lzh" })];
    [place[3][0], row[NAME], place[3][1]].forEach(function (text, i) { parts[i].append(rayner.textNodes(text)); });
    return make("li", { class: "in-context" }, [link].concat(parts));
  }

  var typingTimer = 0;
  form.addEventListener("input", function () {
    clearTimeout(typingTimer);
    typingTimer = setTimeout(search, 150);
  });
  form.addEventListener("submit", function (event) { event.preventDefault(); search(); });
  more.addEventListener("click", showRows);
  document.addEventListener("rayner-language", function () {
    if (statusText) { setStatus.apply(null, statusText); }
    var anyOpen = list.querySelector("details[open]");
    if (!anyOpen) { list.replaceChildren(); nShown = 0; showRows(); }
  });
  form.q.value = query.get("q") || "";
  if (query.get("type") && form.type.querySelector('option[value="' + Number(query.get("type")) + '"]')) {
    form.type.value = query.get("type");
  }
  form.hidden = false;
  search();
})(window.rayner);
