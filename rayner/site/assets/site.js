// What every page does: the language, what is remembered, scripts fetched when they are needed, tables.
"use strict";
(function (rayner) {
  var up = document.body.dataset.up;
  var kept = { lang: "", dir: "", labels: "" };
  var query = new URLSearchParams(location.search);
  // A browser may deny storage to files, or give each file one of its own: then links carry what is to be remembered.
  var carries = location.protocol === "file:";
  var loading = {}, parts = {};

  Object.keys(kept).forEach(function (name) {
    try {
      kept[name] = localStorage.getItem("rayner-" + name) || "";
    } catch (denied) {
      carries = true;
    }
    if (query.get(name)) { kept[name] = query.get(name); }
  });
  if (kept.lang !== "en" && kept.lang !== "zh") {
    kept.lang = /^zh\b/i.test(navigator.language || "") ? "zh" : "en";
  }

  rayner.kept = kept;
  rayner.up = up;
  rayner.remember = function (name, value) {
    kept[name] = value;
    try {
      localStorage.setItem("rayner-" + name, value);
    } catch (denied) {
      carries = true;
    }
  };

  /** A message in the language that is set; {0}, {1} ... are filled in. */
  rayner.say = function (key) {
    var given = Array.prototype.slice.call(arguments, 1);
    return rayner.messages[key][kept.lang === "zh" ? 1 : 0].replace(/\{(\d)\}/g, function (_, i) { return given[i]; });
  };

  /** A type's code and, if it has one, its gloss. */
  rayner.kind = function (number) {
    var name = rayner.types[number];
    return rayner.messages["type_" + name] ? name + " " + rayner.say("type_" + name) : name;
  };

  /** An element with attributes (`text`: its text) and children. */
  rayner.make = function (tag, attributes, children) {
    var made = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (name) {
      if (name === "text") { made.textContent = attributes[name]; } else { made.setAttribute(name, attributes[name]); }
    });
    (children || []).forEach(function (child) { if (child) { made.append(child); } });
    return made;
  };

  /** The code point of a character that fonts may lack, "" for any other; as codepoint() of rayner.report.tagged. */
  rayner.codepoint = function (char) {
    var point = char.codePointAt(0), hex = "U+" + point.toString(16).toUpperCase().padStart(4, "0");
    if (/\p{Co}/u.test(char)) { return rayner.say("private_use", hex); }
    return point > 0xffff && !/\p{Mn}/u.test(char) ? hex : "";
  };

  /** Text to append, in which characters that fonts may lack carry their code point. */
  rayner.rare = function (text) {
    var out = document.createDocumentFragment(), plain = "";
    Array.from(text).forEach(function (char) {
      var point = rayner.codepoint(char);
      if (!point) { plain += char; return; }
      out.append(plain, rayner.make("i", { title: point, text: char }));
      plain = "";
    });
    out.append(plain);
    return out;
  };

  function translate() {
    document.documentElement.lang = kept.lang === "zh" ? "zh-Hans" : "en";
    document.querySelectorAll("[data-m]").forEach(function (item) {
      item.textContent = rayner.say.apply(null, [item.dataset.m].concat(JSON.parse(item.dataset.a || "[]")));
    });
    document.querySelectorAll("[data-ma]").forEach(function (item) {
      var parts = item.dataset.ma.split(":");
      item.setAttribute(parts[0], rayner.say(parts[1]));
    });
    document.querySelectorAll("i[title]").forEach(function (item) {
      var point = item.textContent === "\ufffd" ? "" : rayner.codepoint(item.textContent);
      if (point) { item.title = point; }
    });
    var button = document.getElementById("language");
    button.textContent = rayner.say("other_language");
    button.lang = kept.lang === "zh" ? "en" : "zh";
    document.dispatchEvent(new Event("rayner-language"));
  }

  /** Fetch a script of data, such as "names/3", once; a promise of what it holds. Works where fetch() does not. */
  rayner.read = function (name) {
    loading[name] = loading[name] || new Promise(function (done, failed) {
      var script = document.createElement("script");
      script.onload = function () { script.remove(); done(parts[name]); };
      script.onerror = function () { script.remove(); delete loading[name]; failed(new Error(name)); };
      script.src = up + name + ".js";
      document.head.append(script);
    });
    return loading[name];
  };
  rayner.put = function (name, value) { parts[name] = value; };

  document.addEventListener("click", carry, true);
  document.addEventListener("auxclick", carry, true);
  function carry(event) {
    var link = event.target.closest && event.target.closest("a[href]");
    if (carries && link && !link.getAttribute("href").startsWith("#")) { link.href = rayner.carried(link.href); }
  }
  /** An address with what is to be remembered, where links must carry it. */
  rayner.carried = function (address) {
    var url = new URL(address, location.href);
    Object.keys(kept).forEach(function (name) { if (carries && kept[name]) { url.searchParams.set(name, kept[name]); } });
    return url.href;
  };

  // Tables: a button in each heading sorts, a field above shows only some rows.
  document.querySelectorAll("table.sortable").forEach(function (table) {
    var body = table.tBodies[0];
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      if (head.tagName !== "TH") { return; }
      var button = rayner.make("button", { type: "button" });
      button.append.apply(button, Array.from(head.childNodes));
      head.append(button);
      button.addEventListener("click", function () { sort(table, body, head, column); });
    });
    var tools = table.closest("section, main").querySelector(".tools");
    tools.hidden = false;
    tools.querySelector("input").addEventListener("input", function (event) {
      var wanted = event.target.value.trim();
      Array.from(body.rows).forEach(function (row) { row.hidden = !row.cells[0].textContent.includes(wanted); });
    });
  });
  function sort(table, body, head, column) {
    var ascending = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "descending" : column === 0;
    var keyed = Array.from(body.rows).map(function (row, i) {
      row.dataset.at = row.dataset.at || i;
      var number = parseFloat(row.cells[column].textContent.replace(/,/g, ""));
      return [column ? (isNaN(number) ? -1 : number) : Number(row.dataset.at), row];
    });
    keyed.sort(function (a, b) { return ascending ? a[0] - b[0] : b[0] - a[0]; });
    table.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    body.append.apply(body, keyed.map(function (pair) { return pair[1]; }));
  }

  var button = document.getElementById("language");
  button.hidden = false;
  button.addEventListener("click", function () {
    rayner.remember("lang", kept.lang === "zh" ? "en" : "zh");
    translate();
  });
  translate();
})(window.rayner);
