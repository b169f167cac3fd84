// Places in the text of a page: their characters, the selected one, and the corrections that are shown there.
"use strict";
(function (rayner) {
  var reader = rayner.reader, text = reader.text, store = rayner.corrections, make = rayner.makeElement;
  var chars = readChars(), markPlaces = reader.marks.map(measureMark);

  /** The code points of the page. A page holds U+FFFD in an <i> where the document has U+0000. */
  function readChars() {
    var all = [];
    reader.visitTextNodes(function (node) {
      var isNull = node.data === "\ufffd" && node.parentNode.closest("i");
      Array.prototype.push.apply(all, isNull ? ["\0"] : Array.from(node.data));
    });
    return all;
  }
  /** The text of the document from `start` to `end`, as far as the page holds it. */
  function sliceText(start, end) {
    return chars.slice(Math.max(0, start - reader.firstOffset), Math.max(0, end - reader.firstOffset)).join("");
  }
  function measureMark(mark) {
    var start = reader.markStarts.get(mark);
    return { start: start, end: start + reader.length(mark.textContent) };
  }
  function overlap(a, b) { return a.start < b.end && b.start < a.end; }
  function overlappingMarks(place) {
    var all = markPlaces.map(function (_, i) { return i; });
    return all.filter(function (i) { return overlap(markPlaces[i], place); });
  }

  // ---- the selection

  /** The selected place, null if no text of the document is selected. */
  function selectedPlace() {
    var selection = getSelection(), range = selection.rangeCount ? selection.getRangeAt(0) : null;
    if (!range || range.collapsed || !range.intersectsNode(text)) { return null; }
    var before = document.createRange(), whole = document.createRange();
    whole.selectNodeContents(text);
    if (range.compareBoundaryPoints(Range.START_TO_START, whole) < 0) { range = cut(range, whole, "setStart"); }
    if (range.compareBoundaryPoints(Range.END_TO_END, whole) > 0) { range = cut(range, whole, "setEnd"); }
    before.selectNodeContents(text);
    before.setEnd(range.startContainer, range.startOffset);
    var start = reader.firstOffset + reader.length(before.toString());
    var end = start + reader.length(range.toString());
    return start < end ? trim(start, end) : null;
  }
  /** A place without the white space at its ends. White space alone stays. */
  function trim(start, end) {
    var from = start, to = end;
    while (from < end && /\s/.test(sliceText(from, from + 1))) { from += 1; }
    while (to > from && /\s/.test(sliceText(to - 1, to))) { to -= 1; }
    return from < to ? { start: from, end: to } : { start: start, end: end };
  }
  /** A copy of a range that begins or ends where `whole` does. */
  function cut(range, whole, method) {
    var copy = range.cloneRange(), side = method === "setStart" ? "start" : "end";
    copy[method](whole[side + "Container"], whole[side + "Offset"]);
    return copy;
  }

  // ---- corrections in the text

  /** Wrap the text of a place in elements, one for each text node; returns them. */
  function wrap(place, className) {
    var parts = [];
    reader.visitTextNodes(function (node, offset) {
      var from = Math.max(place.start, offset), to = Math.min(place.end, offset + reader.length(node.data));
      if (from < to) { parts.push([node, from - offset, to - offset]); }
    });
    return parts.map(function (part, i) {
      var ends = (i ? "" : " first") + (i < parts.length - 1 ? "" : " last");
      var element = make("span", { class: className + ends }), range = document.createRange(), node = part[0];
      if (node.parentNode.tagName === "I") {
        range.selectNode(node.parentNode);
      } else {
        var own = Array.from(node.data);
        range.setStart(node, own.slice(0, part[1]).join("").length);
        range.setEnd(node, own.slice(0, part[2]).join("").length);
      }
      range.surroundContents(element);
      return element;
    });
  }
  function unwrap(selector) {
    text.querySelectorAll(selector).forEach(function (element) {
      element.replaceWith.apply(element, Array.from(element.childNodes));
    });
    text.normalize();
  }
  /** Show all corrections of this page. A later one hides an earlier one that it overlaps. */
  function paint() {
    var painted = [];
    unwrap(".fix, .editing");
    store.read().forEach(function (correction) {
      var here = correction.doc_id === store.docId && correction.start >= reader.firstOffset;
      if (!here || sliceText(correction.start, correction.end) !== correction.text) { return; }
      painted = painted.filter(function (earlier) { return !overlap(earlier, correction); }).concat(correction);
    });
    painted.forEach(function (correction, i) {
      var number = rayner.types.indexOf(correction.type), none = correction.type === "";
      var pieces = wrap(correction, "fix " + (none ? "none" : number < 0 ? "other" : "t" + number));
      pieces.forEach(function (piece) { piece.dataset.i = i; piece.title = store.describe(correction); });
      var sign = correction.scope === "here" ? "" : "*";
      if (!none) { pieces[pieces.length - 1].dataset.type = correction.type + sign; }
    });
    reader.marks.forEach(function (mark, i) {
      var gone = painted.some(function (correction) { return replaces(correction, markPlaces[i]); });
      mark.classList.toggle("gone", gone);
    });
    rayner.places.painted = painted;
  }
  /** Whether a correction takes the place of an entity. */
  function replaces(correction, place) {
    var same = correction.start === place.start && correction.end === place.end;
    return same || (correction.type !== "" && overlap(correction, place));
  }
  /** Show the place that a person is choosing, null for none. */
  function paintChoice(place) {
    unwrap(".editing");
    if (place) { wrap(place, "editing"); }
  }

  rayner.places = {
    painted: [],  // the corrections that the page shows
    slice: sliceText, overlap: overlap, ofMark: function (i) { return markPlaces[i]; },
    overlappingMarks: overlappingMarks, ofSelection: selectedPlace, replaces: replaces, paint: paint,
    paintChoice: paintChoice
  };
})(window.rayner);
