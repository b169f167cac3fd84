// The corrections that a person makes in the pages: kept by the browser, listed, and downloaded as one file.
"use strict";
(function (rayner) {
  var FORMAT_VERSION = 1, FILE_NAME = "rayner-corrections.json";
  var FIELDS = ["doc_id", "start", "end", "text", "type", "scope", "before", "after"];
  var SCOPE_KEYS = {
    here: "scope_here", document: "scope_document", book: "scope_book", corpus: "scope_corpus"
  };
  // Browsers give all local files one storage, and a server may show one corpus after another. So the key names both.
  var STORAGE_KEY = "rayner-corrections " + rayner.corpus + " " + new URL(rayner.up || ".", location.href).pathname;
  var docId = JSON.parse(document.getElementById("doc-id").textContent);
  var panel = document.getElementById("corrections"), list = panel.querySelector("ol");
  var clear = document.getElementById("clear"), clearAsked = false;
  var memory = [], inMemory = false, downloaded = true;

  function isCorrection(value) {
    return value && ["doc_id", "text", "type", "scope", "before", "after", "page"].every(function (name) {
      return typeof value[name] === "string";
    }) && Number.isInteger(value.start) && Number.isInteger(value.end) && value.start >= 0 && value.start < value.end &&
      typeof SCOPE_KEYS[value.scope] === "string";
  }
  /** The corrections in the order in which they were made, as the browser holds them now. */
  function read() {
    if (inMemory) { return memory; }
    try {
      var values = JSON.parse(localStorage.getItem(STORAGE_KEY) || "[]");
      memory = Array.isArray(values) ? values.filter(isCorrection) : [];
    } catch (error) {
      if (error instanceof SyntaxError) { return memory; }  // another program wrote there
      inMemory = true;
    }
    return memory;
  }
  function write(corrections) {
    memory = corrections;
    downloaded = false;
    if (!inMemory) {
      try { localStorage.setItem(STORAGE_KEY, JSON.stringify(corrections)); } catch (denied) { inMemory = true; }
    }
    showChange();
  }
  function isSamePlace(a, b) { return a.doc_id === b.doc_id && a.start === b.start && a.end === b.end; }

  /** Tell all that show corrections that they changed. */
  function showChange() {
    fillPanel();
    document.dispatchEvent(new Event("rayner-corrections"));
  }

  rayner.corrections = {
    read: read,
    docId: docId,
    isSamePlace: isSamePlace,
    /** Add corrections. Each replaces an earlier one of the same place; those of `outdated` are removed. */
    add: function (corrections, outdated) {
      write(read().filter(function (earlier) {
        return !corrections.concat(outdated || []).some(function (other) { return isSamePlace(earlier, other); });
      }).concat(corrections));
      announce("correction_saved", corrections[corrections.length - 1]);
    },
    remove: function (correction) {
      write(read().filter(function (other) { return !isSamePlace(other, correction); }));
      announce("correction_removed", correction);
    },
    describe: describe,
    scopeKeys: SCOPE_KEYS,
    showControlChars: showControlChars
  };

  // ---- in words

  /** A text with signs for line breaks and other control characters. */
  function showControlChars(string) {
    return string.replace(/[\0-\x1f]/g, function (char) { return String.fromCharCode(0x2400 + char.charCodeAt(0)); })
      .replace(/\x7f/g, "\u2421").replace(/[\x80-\x9f\u2028\u2029]/g, "\ufffd");
  }
  function describe(correction) {
    var number = rayner.types.indexOf(correction.type);
    var type = correction.type === "" ? rayner.translate("no_name")
      : number < 0 ? correction.type : rayner.typeLabel(number);
    return rayner.translate("correction_of", showControlChars(correction.text), type,
      rayner.translate(SCOPE_KEYS[correction.scope]));
  }
  function announce(key, correction) {
    document.getElementById("announcement").textContent = rayner.translate(key, describe(correction));
  }

  // ---- the panel

  function fillPanel() {
    var corrections = read();
    panel.hidden = !corrections.length;
    panel.querySelector(".number").textContent = corrections.length.toLocaleString("en");
    panel.querySelector(".problem").hidden = !inMemory;
    panel.querySelector(".apart").hidden = inMemory || location.protocol !== "file:";
    clearAsked = false;
    clear.textContent = rayner.translate("remove_all");
    list.replaceChildren.apply(list, corrections.map(makeRow));
  }
  function makeRow(correction) {
    var make = rayner.makeElement, here = correction.doc_id === docId;
    var number = rayner.types.indexOf(correction.type);
    var page = isOnThisPage(correction) ? "" : rayner.up + correction.page;
    var link = make("a", { lang: "lzh", href: page + "#c" + correction.start });
    link.append(
      rayner.textNodes(showControlChars(Array.from(correction.before).slice(-6).join(""))),
      make(correction.type ? "b" : "s", { text: showControlChars(correction.text) }),
      rayner.textNodes(showControlChars(Array.from(correction.after).slice(0, 6).join(""))));
    var type = make("span", {}, [
      number >= 0 && make("span", { class: "swatch t" + number }),
      correction.type || rayner.translate("no_name"), " \u00b7 ", rayner.translate(SCOPE_KEYS[correction.scope])]);
    var actions = make("span", { class: "row-actions" }, [
      isOnThisPage(correction) && makeButton("edit", correction, function () { rayner.editCorrection(correction); }),
      makeButton("remove", correction, function () { removeFromPanel(correction); })]);
    return make("li", {}, [
      make("p", {}, [link]), here ? "" : make("p", { class: "note", lang: "lzh", text: correction.doc_id }),
      make("p", { class: "what" }, [type, actions])]);
  }
  function isOnThisPage(correction) {
    return correction.doc_id === docId && correction.start >= rayner.reader.firstOffset &&
      correction.end <= rayner.reader.endOffset;
  }
  function makeButton(key, correction, act) {
    var button = rayner.makeElement("button", {
      type: "button", class: key, text: rayner.translate(key),
      "aria-label": rayner.translate("action_on", rayner.translate(key), describe(correction))
    });
    button.addEventListener("click", act);
    return button;
  }
  /** Remove a correction and keep the focus in the panel. */
  function removeFromPanel(correction) {
    var i = read().findIndex(function (other) { return isSamePlace(other, correction); });
    rayner.corrections.remove(correction);
    var buttons = list.querySelectorAll(".remove"), next = buttons[Math.min(i, buttons.length - 1)];
    (next || rayner.reader.text).focus({ preventScroll: true });
  }

  function download() {
    var corrections = read().map(function (correction) {
      var row = {};
      FIELDS.forEach(function (name) { row[name] = correction[name]; });
      return row;
    });
    var content = { format: "rayner-corrections", format_version: FORMAT_VERSION, corrections: corrections };
    var blob = new Blob([JSON.stringify(content, null, 1) + "\n"], { type: "application/json" });
    var link = rayner.makeElement("a", { href: URL.createObjectURL(blob), download: FILE_NAME });
    link.click();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 60000);
    downloaded = true;
  }
  document.getElementById("download").addEventListener("click", download);
  clear.addEventListener("click", function () {
    if (clearAsked) { write([]); rayner.reader.text.focus({ preventScroll: true }); return; }
    clearAsked = true;
    clear.textContent = rayner.translate("remove_all_sure", read().length.toLocaleString("en"));
  });
  addEventListener("storage", function (event) {
    if (event.key === STORAGE_KEY || event.key === null) { showChange(); }
  });
  addEventListener("beforeunload", function (event) {
    if (inMemory && !downloaded && memory.length) { event.preventDefault(); }
  });
  document.addEventListener("rayner-language", fillPanel);
  fillPanel();
})(window.rayner);
