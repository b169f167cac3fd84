// On every page: the language, saved choices, loading of data scripts, tables that sort and filter.
"use strict";
(function (rayner) {
  var up = document.body.dataset.up;
  var choices = { lang: "", dir: "", labels: "" };
  var query = new URLSearchParams(location.search);
  // A browser may deny storage to files, or give each file its own storage. Then links carry the choices.
  var linksCarryChoices = location.protocol === "file:";
  var pendingScripts = {}, scriptData = {};

  Object.keys(choices).forEach(function (name) {
    try {
      choices[name] = localStorage.getItem("rayner-" + name) || "";
    } catch (denied) {
      linksCarryChoices = true;
    }
    if (query.get(name)) { choices[name] = query.get(name); }
  });
  choices.lang = raynerLanguage.choose(choices.lang);

  rayner.choices = choices;
  rayner.up = up;
  rayner.saveChoice = function (name, value) {
    choices[name] = value;
    try {
      localStorage.setItem("rayner-" + name, value);
    } catch (denied) {
      linksCarryChoices = true;
    }
  };

  /** A text in the current language, with values in the places of {0}, {1} ... */
  rayner.translate = function (key) {
    var values = Array.prototype.slice.call(arguments, 1);
    var template = rayner.texts[key][choices.lang === "zh" ? 1 : 0];
    return template.replace(/\{(\d)\}/g, function (_, i) { return values[i]; });
  };

  /** The code of a type and, if it has one, its gloss. */
  rayner.typeLabel = function (number) {
    var name = rayner.types[number], gloss = "gloss_" + name;
    return rayner.texts[gloss] ? rayner.translate("type_code_and_gloss", name, rayner.translate(gloss)) : name;
  };

  /** An element with attributes (`text`: its text content) and children. */
  rayner.makeElement = function (tag, attributes, children) {
    var element = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (name) {
      if (name === "text") {
        element.textContent = attributes[name];
      } else {
        element.setAttribute(name, attributes[name]);
      }
    });
    (children || []).forEach(function (child) { if (child) { element.append(child); } });
    return element;
  };

  /** The code point of a character that fonts may lack, "" for any other. As describe_rare_char() of tagged_text.py. */
  rayner.describeRareChar = function (char) {
    var point = char.codePointAt(0), hex = "U+" + point.toString(16).toUpperCase().padStart(4, "0");
    if (/\p{Co}/u.test(char)) { return rayner.translate("private_use", hex); }
    return point > 0xffff && !/\p{Mn}/u.test(char) ? hex : "";
  };

  /** Nodes for a text; characters that fonts may lack get their code point as a title. */
  rayner.textNodes = function (text) {
    var nodes = document.createDocumentFragment(), plain = "";
    Array.from(text).forEach(function (char) {
      var note = rayner.describeRareChar(char);
      if (!note) { plain += char; return; }
      nodes.append(plain, rayner.makeElement("i", { title: note, text: char }));
      plain = "";
    });
    nodes.append(plain);
    return nodes;
  };

  function showLanguage() {
    raynerLanguage.show(choices.lang);
    document.querySelectorAll("i[title]").forEach(function (element) {
      var note = element.textContent === "\ufffd" ? "" : rayner.describeRareChar(element.textContent);
      if (note) { element.title = note; }
    });
    document.dispatchEvent(new Event("rayner-language"));
  }

  /** Load a data script once, such as "names/3"; a promise of its data. Works for file: addresses, unlike fetch(). */
  rayner.loadData = function (name) {
    pendingScripts[name] = pendingScripts[name] || new Promise(function (resolve, reject) {
      var script = document.createElement("script");
      script.onload = function () { script.remove(); resolve(scriptData[name]); };
      script.onerror = function () { script.remove(); delete pendingScripts[name]; reject(new Error(name)); };
      script.src = up + name + ".js";
      document.head.append(script);
    });
    return pendingScripts[name];
  };
  /** Called by the data scripts. */
  rayner.putData = function (name, data) { scriptData[name] = data; };

  document.addEventListener("click", addChoicesToLink, true);
  document.addEventListener("auxclick", addChoicesToLink, true);
  function addChoicesToLink(event) {
    var link = event.target.closest && event.target.closest("a[href]");
    if (linksCarryChoices && link && !link.getAttribute("href").startsWith("#")) {
      link.href = rayner.addChoices(link.href);
    }
  }
  /** An address with the saved choices, where links must carry them. */
  rayner.addChoices = function (address) {
    var url = new URL(address, location.href);
    Object.keys(choices).forEach(function (name) {
      if (linksCarryChoices && choices[name]) { url.searchParams.set(name, choices[name]); }
    });
    return url.href;
  };

  // Tables: a button in each column head sorts; a search field filters the rows.
  document.querySelectorAll("table.sortable").forEach(function (table) {
    var body = table.tBodies[0];
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      if (head.tagName !== "TH") { return; }
      var button = rayner.makeElement("button", { type: "button" });
      button.append.apply(button, Array.from(head.childNodes));
      head.append(button);
      button.addEventListener("click", function () { sortRows(table, body, head, column); });
    });
    var tools = table.closest("section, main").querySelector(".tools");
    tools.hidden = false;
    tools.querySelector("input").addEventListener("input", function (event) {
      var text = event.target.value.trim();
      Array.from(body.rows).forEach(function (row) { row.hidden = !row.cells[0].textContent.includes(text); });
    });
  });
  /** Sort by a column: the first (names) in the order of the page, the others as numbers, the largest first. */
  function sortRows(table, body, head, column) {
    var sorted = head.getAttribute("aria-sort"), ascending = sorted ? sorted === "descending" : column === 0;
    var keyedRows = Array.from(body.rows).map(function (row, i) {
      row.dataset.order = row.dataset.order || i;
      var number = parseFloat(row.cells[column].textContent.replace(/,/g, ""));
      return [column ? (isNaN(number) ? -1 : number) : Number(row.dataset.order), row];
    });
    keyedRows.sort(function (a, b) { return ascending ? a[0] - b[0] : b[0] - a[0]; });
    table.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    body.append.apply(body, keyedRows.map(function (pair) { return pair[1]; }));
  }

  document.getElementById("language").addEventListener("click", function () {
    rayner.saveChoice("lang", raynerLanguage.other(choices.lang));
    showLanguage();
  });
  showLanguage();
})(window.rayner);
