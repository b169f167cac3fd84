// The editor of a correction: choose a place, a type and a scope, with the mouse or the keyboard.
"use strict";
(function (rayner) {
  var CONTEXT_CHARS = 20, PREVIEW_CHARS = 8;
  var reader = rayner.reader, text = reader.text, store = rayner.corrections, places = rayner.places;
  var make = rayner.makeElement;
  var editor = document.getElementById("editor"), pick = document.getElementById("pick");
  // What the editor shows, null if it is closed. start, end: the place now. base: the place of the entity that is
  // corrected, null for a new name. edited: the correction that is changed, if any. mark: the entity's index or -1.
  var state = null, lastType = "";

  // ---- the editor

  function open(place, base, mark, type, edited) {
    reader.closeCard();
    hidePick();
    getSelection().removeAllRanges();
    state = { start: place.start, end: place.end, base: base, mark: mark, edited: edited || null };
    fillEditor(edited ? edited.type : type, edited ? edited.scope : "here");
    editor.hidden = false;
    places.paintChoice(state);
    moveEditor();
    editor.querySelector("[name=type]:checked").focus({ preventScroll: true });
  }
  rayner.editCorrection = function (correction) {
    var marks = places.overlappingMarks(correction);
    open(correction, correction.type ? correction : null, marks.length ? marks[0] : -1, correction.type, correction);
    text.querySelector(".editing").scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    moveEditor();
  };
  rayner.correctMark = function (i) {
    var place = places.ofMark(i);
    var edited = places.painted.find(function (correction) { return places.replaces(correction, place); });
    open(edited || place, edited && edited.type === "" ? place : edited || place, i, typeOfMark(i), edited);
  };
  function typeOfMark(i) { return rayner.types[reader.votes[i].type]; }
  function typeOfNewName() { return lastType || rayner.types[0] || ""; }
  function close(returnFocus) {
    var mark = state.mark;
    state = null;
    editor.hidden = true;
    places.paint();
    if (!returnFocus) { return; }
    if (mark >= 0) { reader.focusMark(mark, true); } else { text.focus({ preventScroll: true }); }
    reader.closeCard();  // it would cover the text around the correction
  }
  function moveEditor() {
    var place = text.querySelector(".editing");
    if (place) { reader.placeBeside(editor, place.getClientRects()[0] || place.getBoundingClientRect()); }
  }

  function fillEditor(type, scope) {
    editor.replaceChildren(
      make("p", { class: "preview", lang: "lzh" }),
      make("p", { class: "extent" }, [
        extentButton("start", -1), rayner.translate("start"), extentButton("start", 1), make("span", { class: "gap" }),
        extentButton("end", -1), rayner.translate("end"), extentButton("end", 1)]),
      makeTypes(type), makeScopes(scope),
      make("p", { class: "problem", role: "alert" }),
      make("p", { class: "actions" }, [
        make("button", { type: "submit", class: "main", text: rayner.translate("save") }),
        actionButton("cancel", function () { close(true); }),
        state.edited && actionButton("remove_correction", function () {
          store.remove(state.edited);
          close(true);
        })]));
    showPlace();
  }
  function actionButton(key, act) {
    var button = make("button", { type: "button", text: rayner.translate(key) });
    button.addEventListener("click", act);
    return button;
  }
  function extentButton(edge, step) {
    var keys = { start: ["start_earlier", "start_later"], end: ["end_earlier", "end_later"] };
    var label = rayner.translate(keys[edge][step < 0 ? 0 : 1]);
    var arrow = step < 0 ? "\u2190" : "\u2192";
    var button = make("button", { type: "button", "aria-label": label, title: label, text: arrow });
    button.addEventListener("click", function () { moveEdge(edge, step); });
    return button;
  }
  /** Move an edge by one character. The place of an entity keeps a character of it; a new name can move anywhere. */
  function moveEdge(edge, step) {
    var place = { start: state.start, end: state.end };
    place[edge] += step;
    if (place.start >= place.end) { place[edge === "start" ? "end" : "start"] += step; }
    var inside = place.start >= reader.firstOffset && place.end <= reader.endOffset;
    if (!inside || (state.base && !places.overlap(place, state.base))) { return; }
    state.start = place.start;
    state.end = place.end;
    places.paintChoice(state);
    showPlace();
  }
  function showPlace() {
    var show = store.showControlChars, name = make("b");
    name.append(rayner.textNodes(show(places.slice(state.start, state.end))));
    editor.querySelector(".preview").replaceChildren(
      rayner.textNodes(show(places.slice(state.start - PREVIEW_CHARS, state.start))), name,
      rayner.textNodes(show(places.slice(state.end, state.end + PREVIEW_CHARS))));
  }

  /** The choice of a type: none, those of the corpus, or another one. */
  function makeTypes(type) {
    var numbers = rayner.types.map(function (_, i) { return i; }).sort(function (a, b) {
      return rayner.types[a] < rayner.types[b] ? -1 : 1;
    });
    var other = make("input", { type: "text", name: "other", "aria-label": rayner.translate("other_type"), size: 8 });
    var isOther = type !== "" && !rayner.types.includes(type);
    if (isOther) { other.value = type; }
    other.addEventListener("input", function () { editor.querySelector("[value=other]").checked = true; });
    function choice(value, checked, children) {
      var radio = make("input", { type: "radio", name: "type", value: value });
      radio.checked = checked;
      return make("label", {}, [radio].concat(children));
    }
    return make("fieldset", { class: "choices" }, [make("legend", { text: rayner.translate("type") })].concat(
      choice("none", type === "", [rayner.translate("no_name")]),
      numbers.map(function (i) {
        var label = [make("span", { class: "swatch t" + i }), rayner.typeLabel(i)];
        return choice(String(i), rayner.types[i] === type, label);
      }),
      choice("other", isOther, [rayner.translate("other_type"), other])));
  }
  function makeScopes(scope) {
    var select = make("select", { name: "scope" }, Object.keys(store.scopeKeys).map(function (name) {
      return make("option", { value: name, text: rayner.translate(store.scopeKeys[name]) });
    }));
    var note = make("small", { text: rayner.translate("shown_here_only") });
    select.value = scope;
    note.hidden = scope === "here";
    select.addEventListener("change", function () { note.hidden = select.value === "here"; moveEditor(); });
    return make("p", { class: "scope" }, [
      make("label", {}, [rayner.translate("where"), " ", select]), note]);
  }
  /** The chosen type, "" for none, null if the name of another type cannot be written as a tag. */
  function readType() {
    var value = editor.querySelector("[name=type]:checked").value, other = editor.querySelector("[name=other]");
    if (value === "none") { return ""; }
    if (value !== "other") { return rayner.types[Number(value)]; }
    var name = other.value.trim();
    return /^[^<>/&\s\x1c-\x1f\x85]+$/.test(name) ? name : null;
  }

  function save() {
    var type = readType(), scope = editor.querySelector("[name=scope]").value;
    if (type === null) {
      editor.querySelector(".problem").textContent = rayner.translate("type_not_allowed");
      editor.querySelector("[name=other]").focus();
      return;
    }
    lastType = type || lastType;
    var outdated = store.read().filter(function (earlier) {
      var typedHere = earlier.doc_id === store.docId && earlier.scope === "here" && earlier.type !== "";
      return typedHere && places.overlap(earlier, state);
    });
    var chosen = [{ start: state.start, end: state.end }];
    if (type === "" && scope === "here") {  // no name here: say it of each entity that is here
      var entities = places.overlappingMarks(state).map(places.ofMark);
      chosen = entities.length ? entities : chosen;
    }
    store.add(chosen.map(function (place) { return makeCorrection(place, type, scope); }),
      outdated.concat(state.edited || []));
    close(true);
  }
  function makeCorrection(place, type, scope) {
    return {
      doc_id: store.docId, start: place.start, end: place.end, text: places.slice(place.start, place.end), type: type,
      scope: scope, before: places.slice(place.start - CONTEXT_CHARS, place.start),
      after: places.slice(place.end, place.end + CONTEXT_CHARS), page: text.dataset.name + ".html"
    };
  }

  // ---- selections

  function openSelection(place) {
    function isSame(other) { return other.start === place.start && other.end === place.end; }
    var marks = places.overlappingMarks(place), edited = places.painted.find(isSame);
    var same = marks.find(function (i) { return isSame(places.ofMark(i)); });
    if (edited) {
      rayner.editCorrection(edited);
    } else if (same !== undefined) {
      rayner.correctMark(same);
    } else {
      open(place, null, marks.length ? marks[0] : -1, marks.length ? typeOfMark(marks[0]) : typeOfNewName());
    }
  }
  function hidePick() { pick.hidden = true; }
  function showPick() {
    var place = state ? null : places.ofSelection();
    pick.hidden = !place;
    if (!place) { return; }
    var boxes = getSelection().getRangeAt(0).getClientRects();
    reader.placeBeside(pick, boxes[boxes.length - 1] || getSelection().getRangeAt(0).getBoundingClientRect());
  }
  var pickTimer = 0;
  document.addEventListener("selectionchange", function () {
    clearTimeout(pickTimer);
    pickTimer = setTimeout(showPick, 200);
  });
  pick.addEventListener("mousedown", function (event) { event.preventDefault(); });  // keeps the selection
  pick.addEventListener("click", function () {
    var place = places.ofSelection();
    if (place) { openSelection(place); }
  });

  // ---- keys and clicks

  text.addEventListener("click", function (event) {
    var fix = event.target.closest && event.target.closest(".fix");
    if (state && !fix) { close(false); }
    if (!fix || !getSelection().isCollapsed) { return; }
    event.stopPropagation();  // no votes of the entity under it
    if (state) { close(false); }
    rayner.editCorrection(places.painted[Number(fix.dataset.i)]);
  }, true);
  text.addEventListener("keydown", function (event) {
    if (event.altKey || event.ctrlKey || event.metaKey) { return; }
    var key = event.key.toLowerCase(), i = reader.markIndex(event.target), place = places.ofSelection();
    if (key === "e" && place) { openSelection(place); }
    else if (key === "e" && i >= 0) { rayner.correctMark(i); }
    else if (key === "n") { openNewName(i); }
    else { return; }
    event.preventDefault();
  });
  /** Open the editor for a new name: the character after an entity, or the one that the address points to. */
  function openNewName(i) {
    var start = i >= 0 ? places.ofMark(i).end : reader.firstOffset, at = text.querySelector(".at");
    if (i < 0 && at) {
      reader.visitTextNodes(function (node, offset) { if (at.contains(node)) { start = Math.max(start, offset); } });
    }
    start = Math.min(start, reader.endOffset - 1);
    if (start >= reader.firstOffset) { open({ start: start, end: start + 1 }, null, i, typeOfNewName()); }
  }
  editor.addEventListener("submit", function (event) { event.preventDefault(); save(); });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape" && state) { close(true); }
  });
  addEventListener("resize", moveEditor);
  document.addEventListener("scroll", function (event) {
    if (state && !editor.contains(event.target)) { moveEditor(); }
    if (!pick.hidden) { showPick(); }
  }, { passive: true, capture: true });
  document.addEventListener("rayner-corrections", function () { if (!state) { places.paint(); } });
  document.addEventListener("rayner-language", function () {
    if (state) {
      var type = readType();
      fillEditor(type === null ? editor.querySelector("[name=other]").value : type,
        editor.querySelector("[name=scope]").value);
    }
    places.paint();
    places.paintChoice(state);
  });
  document.getElementById("how").hidden = reader.firstOffset === reader.endOffset;
  places.paint();
})(window.rayner);
