// A page of a document: filters, the votes on an entity, the place that an address points to. correct.js uses
// `rayner.reader`.
"use strict";
(function (rayner) {
  var text = document.getElementById("text"), card = document.getElementById("card");
  var form = document.querySelector(".filters"), status = document.getElementById("status");
  var marks = Array.from(text.getElementsByTagName("b"));
  var firstOffset = Number(text.dataset.start);
  var votes = unpackVotes(JSON.parse(document.getElementById("votes").textContent));
  var current = -1, opened = -1, pinned = false, closeTimer = 0;  // indices into `marks`; -1: none

  /** Read what pack_votes() of html_text.py writes. Empty fields are null. */
  function unpackVotes(packed) {
    var packedVotes = packed ? packed.split(" ") : [];
    return marks.map(function (mark, i) {
      var fields = packedVotes[i].split(","), asked = fields.length > 3, type = Number(mark.className.slice(1));
      function decimal(j) { return fields[j] ? Number(fields[j]) / 1000 : null; }
      function integer(j) { return fields[j] ? Number(fields[j]) : null; }
      return {
        type: type, decidedBy: mark.className[0], asked: asked, score: decimal(0), entropy: decimal(1),
        slm: fields.length > 2 ? integer(2) : type, llm: asked ? integer(3) : null,
        category: asked ? decimal(4) : null, boundary: asked ? decimal(5) : null
      };
    });
  }

  /** The number of code points of a string. */
  function length(string) { return string.length - (string.match(/[\ud800-\udbff][\udc00-\udfff]/g) || []).length; }

  /** Call `visit(node, offset)` for each text node with its offset in the document; returns the offset of the end. */
  function visitTextNodes(visit) {
    var walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT), offset = firstOffset;
    while (walker.nextNode()) {
      visit(walker.currentNode, offset);
      offset += length(walker.currentNode.data);
    }
    return offset;
  }
  var markStarts = new Map(), endOffset = visitTextNodes(function (node, offset) {
    var mark = node.parentNode.closest("b");
    if (mark && !markStarts.has(mark)) { markStarts.set(mark, offset); }
  });

  // ---- filters

  function applyFilters() {
    var types = {}, deciders = {}, minimum = Number(form.minimum.value), nShown = 0;
    form.querySelectorAll("[name=t]").forEach(function (box) { types[box.value] = box.checked; });
    form.querySelectorAll("[name=by]").forEach(function (box) { deciders[box.value] = box.checked; });
    marks.forEach(function (mark, i) {
      var vote = votes[i], confident = !minimum || (vote.score !== null && vote.score >= minimum);
      var visible = types[vote.type] && deciders[vote.decidedBy] !== false && confident;
      mark.classList.toggle("off", !visible);
      nShown += visible;
    });
    document.getElementById("least").textContent = minimum.toFixed(2);
    status.textContent = rayner.translate(
      "shown_of", nShown.toLocaleString("en"), marks.length.toLocaleString("en"));
    text.classList.toggle("vertical", form.vertical.checked);
    text.classList.toggle("plain", !form.labels.checked);
    if (marks[opened] && marks[opened].classList.contains("off")) { closeCard(); }
    chooseTabStop();
  }

  /** Make one visible entity a stop of the Tab key. */
  function chooseTabStop() {
    if (marks[current] && !marks[current].classList.contains("off")) { return; }
    if (marks[current]) { removeTabStop(current); }
    current = marks.findIndex(function (mark) { return !mark.classList.contains("off"); });
    if (marks[current]) { addTabStop(current); }
  }
  function removeTabStop(i) {
    ["tabindex", "role", "aria-label", "aria-haspopup"].forEach(function (name) { marks[i].removeAttribute(name); });
  }
  function addTabStop(i) {
    marks[i].tabIndex = 0;
    marks[i].setAttribute("role", "button");
    marks[i].setAttribute("aria-haspopup", "dialog");
    var label = marks[i].textContent + ", " + describeEntity(votes[i]);
    if (marks[i].classList.contains("gone")) {
      label += rayner.translate("part_separator") + rayner.translate("corrected");
    }
    marks[i].setAttribute("aria-label", label);
  }
  function focusMark(i, preventScroll) {
    if (!marks[i]) { return; }
    if (marks[current]) { removeTabStop(current); }
    current = i;
    addTabStop(i);
    marks[i].focus({ preventScroll: preventScroll });
  }
  /** Focus the next (1) or the previous (-1) visible entity. */
  function focusNext(step) {
    var i = current + step;
    while (marks[i] && marks[i].classList.contains("off")) { i += step; }
    focusMark(i);
  }

  // ---- the votes

  function formatNumber(value) { return value === null ? "\u2013" : value.toFixed(3); }
  function typeOrNone(number) { return number === null ? rayner.translate("nothing") : rayner.typeLabel(number); }
  function describeDecider(vote) {
    return rayner.translate({ a: "both_agree", s: "by_slm", l: "by_llm", p: "by_person" }[vote.decidedBy]);
  }

  /** Whether it is worth saying who decided. */
  function namesDecider(vote) { return rayner.asksLlm || vote.decidedBy === "p"; }

  /** An entity in words, as describe_entity() of tagged_text.py. */
  function describeEntity(vote) {
    function describeVote(model, type, symbol, value) {
      var name = type === null ? rayner.translate("nothing") : rayner.types[type];
      var words = rayner.translate("vote_of", rayner.translate(model), name);
      return value === null ? words : rayner.translate("vote_with_number", words, symbol, formatNumber(value));
    }
    var llm = vote.asked
      ? describeVote("llm", vote.llm, "P", vote.category)
      : rayner.translate("vote_of", rayner.translate("llm"), rayner.translate("not_asked"));
    var score = vote.score === null ? [] : [rayner.translate("with_confidence", formatNumber(vote.score))];
    var decider = namesDecider(vote) ? [describeDecider(vote)] : [];
    return [rayner.typeLabel(vote.type)]
      .concat(score, decider, describeVote("slm", vote.slm, "H", vote.entropy), rayner.asksLlm ? [llm] : [])
      .join(rayner.translate("part_separator"));
  }
  rayner.describeEntity = function (i) { return describeEntity(votes[i]); };

  function fillCard(i) {
    var make = rayner.makeElement, vote = votes[i], name = marks[i].textContent, start = markStarts.get(marks[i]);
    function tableRow(head, cells) {
      return make("tr", {}, [make("th", { scope: "row", text: head })].concat(cells.map(function (cell) {
        return make("td", { text: cell });
      })));
    }
    /** The cells of a row without that of the LLM, if no LLM was asked about the corpus. */
    function shownCells(cells) { return rayner.asksLlm ? cells : cells.slice(0, -1); }
    var heads = shownCells(["", "slm", "llm"]).map(function (key) {
      return make("th", { scope: "col", text: key && rayner.translate(key) });
    });
    var llm = vote.asked ? typeOrNone(vote.llm) : rayner.translate("not_asked");
    var rareChars = Array.from(name).map(rayner.describeRareChar).filter(Boolean);
    var dismiss = make("button", {
      type: "button", class: "close", "aria-label": rayner.translate("close"), text: "\u00d7"
    });
    var title = make("span", { class: "name", lang: "lzh" });
    title.append(rayner.textNodes(name));
    var correct = make("button", { type: "button", class: "correct", text: rayner.translate("correct_name") });
    correct.addEventListener("click", function () { rayner.correctMark(i); });
    dismiss.addEventListener("click", function () { closeCard(true); });
    card.replaceChildren(
      dismiss,
      make("p", { class: "head" }, [title, make("span", {}, [
        make("span", { class: "swatch t" + vote.type }), rayner.typeLabel(vote.type)])]),
      namesDecider(vote) ? make("p", { text: describeDecider(vote) }) : "",
      vote.score === null ? "" : make("p", {}, [
        rayner.translate("with_confidence", formatNumber(vote.score)),
        make("meter", { min: 0, max: 1, value: vote.score, "aria-label": rayner.translate("confidence") })]),
      make("table", {}, [make("thead", {}, [make("tr", {}, heads)]), make("tbody", {}, [
        tableRow(rayner.translate("vote"), shownCells([typeOrNone(vote.slm), llm])),
        tableRow(rayner.translate("entropy"), shownCells([formatNumber(vote.entropy), ""])),
        vote.asked && tableRow(rayner.translate("category"), ["", formatNumber(vote.category)]),
        vote.asked && tableRow(rayner.translate("boundary"), ["", formatNumber(vote.boundary)])])]),
      rareChars.length ? make("p", { text: rareChars.join(rayner.translate("part_separator")) }) : "",
      make("p", {
        text: rayner.translate("vote_of", rayner.translate("place"), "[" + start + ", " + (start + length(name)) + ")")
      }),
      make("p", { class: "links" }, [
        make("a", { href: "#c" + start, text: rayner.translate("link_here") }),
        make("a", { href: rayner.up + "entities.html?" + new URLSearchParams({ q: name, type: vote.type }),
                    text: rayner.translate("all_places") }), correct])
    );
  }

  function openCard(i, pin) {
    clearTimeout(closeTimer);
    if (pinned && !pin && i !== opened || !document.getElementById("editor").hidden) { return; }
    if (opened !== i) {
      if (marks[opened]) { marks[opened].classList.remove("open"); }
      opened = i;
      fillCard(i);
    }
    pinned = pinned || pin;
    marks[i].classList.add("open");
    card.hidden = false;
    placeBeside(card, marks[i].getClientRects()[0] || marks[i].getBoundingClientRect());
  }
  /** Place a panel beside an entity: it covers no line of the entity and stays inside the window. */
  function placeBeside(card, box) {
    var width = card.offsetWidth, height = card.offsetHeight, x = box.left, y = box.bottom + 8;
    if (text.classList.contains("vertical")) {
      x = box.left - width - 12 > 4 ? box.left - width - 12 : box.right + 12;
      y = box.top;
    } else if (y + height > innerHeight - 4 && box.top - height - 8 > 4) {
      y = box.top - height - 8;
    }
    card.style.left = Math.max(4, Math.min(x, document.documentElement.clientWidth - width - 4)) + "px";
    card.style.top = Math.max(4, Math.min(y, innerHeight - height - 4)) + "px";
  }
  function closeCard(returnFocus) {
    clearTimeout(closeTimer);
    if (marks[opened]) { marks[opened].classList.remove("open"); }
    if (returnFocus && marks[opened] && card.contains(document.activeElement)) { focusMark(opened); }
    card.hidden = true;
    opened = -1;
    pinned = false;
  }
  function closeCardSoon() {
    clearTimeout(closeTimer);
    if (!pinned) { closeTimer = setTimeout(closeCard, 250); }
  }
  /** The index of the visible entity at an event's target, -1 if there is none. */
  function markIndex(target) {
    var mark = target.closest && target.closest("#text b");
    return mark && !mark.classList.contains("off") ? marks.indexOf(mark) : -1;
  }

  text.addEventListener("mouseover", function (event) {
    var i = markIndex(event.target);
    if (i >= 0) { openCard(i, false); } else { closeCardSoon(); }
  });
  text.addEventListener("mouseleave", closeCardSoon);
  card.addEventListener("mouseenter", function () { clearTimeout(closeTimer); });
  card.addEventListener("mouseleave", closeCardSoon);
  text.addEventListener("click", function (event) {
    var i = markIndex(event.target);
    if (i < 0 || !getSelection().isCollapsed) { return; }
    pinned = false;
    focusMark(i);
    openCard(i, true);
  });
  text.addEventListener("focusin", function (event) {
    var i = markIndex(event.target);
    if (i >= 0) { pinned = false; openCard(i, false); }
  });
  text.addEventListener("focusout", function (event) {
    if (!card.contains(event.relatedTarget)) { closeCardSoon(); }
  });
  document.addEventListener("click", function (event) {
    if (opened >= 0 && !card.contains(event.target) && markIndex(event.target) < 0) { closeCard(); }
  });
  document.addEventListener("scroll", function () {
    if (opened >= 0) { placeBeside(card, marks[opened].getClientRects()[0]); }
  }, { passive: true, capture: true });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape" && opened >= 0) { closeCard(true); }
  });
  text.addEventListener("keydown", function (event) {
    if (markIndex(event.target) < 0 || event.altKey || event.ctrlKey || event.metaKey) { return; }
    var forwardKeys = text.classList.contains("vertical") ? ["ArrowDown", "ArrowLeft"] : ["ArrowRight", "ArrowDown"];
    var backwardKeys = text.classList.contains("vertical") ? ["ArrowUp", "ArrowRight"] : ["ArrowLeft", "ArrowUp"];
    if (forwardKeys.includes(event.key)) { focusNext(1); }
    else if (backwardKeys.includes(event.key)) { focusNext(-1); }
    else if (event.key === "Home") { removeTabStop(current); current = -1; focusNext(1); }
    else if (event.key === "End") { removeTabStop(current); current = marks.length; focusNext(-1); }
    else if (event.key === "Enter" || event.key === " ") {
      openCard(current, true);
      card.querySelector("a").focus();
    } else { return; }
    event.preventDefault();
  });
  // A mouse wheel scrolls vertical text along its lines.
  text.addEventListener("wheel", function (event) {
    if (!text.classList.contains("vertical") || event.deltaX || event.ctrlKey) { return; }
    var before = text.scrollLeft;
    text.scrollLeft -= event.deltaY;
    if (text.scrollLeft !== before) { event.preventDefault(); }
  }, { passive: false });

  // ---- the place that an address points to: #c and an offset in code points

  function goToAddress() {
    var match = /^#c(\d+)$/.exec(location.hash);
    unmarkPlace();
    if (!match) { return; }
    var target = Number(match[1]), pageStarts = text.dataset.starts.split(" ").map(Number), page = 0;
    while (page + 1 < pageStarts.length && pageStarts[page + 1] <= target) { page += 1; }
    if (pageStarts[page] !== firstOffset) {
      var name = text.dataset.name + (page ? "-" + (page + 1) : "") + ".html";
      location.replace(rayner.addChoices(rayner.up + name) + location.hash);
      return;
    }
    if (target < endOffset) { markPlace(target); }
  }
  function unmarkPlace() {
    document.querySelectorAll(".at").forEach(function (element) {
      element.classList.remove("at");
      element.removeAttribute("aria-current");
      if (element.tagName === "MARK") {
        element.replaceWith.apply(element, Array.from(element.childNodes));
        text.normalize();
      }
    });
  }
  function markPlace(target) {
    var place = null;
    visitTextNodes(function (node, offset) {
      if (place || target >= offset + length(node.data)) { return; }
      place = node.parentNode.closest("b, i") || wrapChar(node, target - offset);
      place = place.closest("b") || place;
    });
    place.classList.add("at");
    place.setAttribute("aria-current", "true");
    place.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    if (place.tagName === "B") {
      place.classList.remove("off");
      focusMark(marks.indexOf(place), true);
    }
  }
  /** Wrap the character at an offset of a text node in an element. */
  function wrapChar(node, offset) {
    var chars = Array.from(node.data), range = document.createRange(), mark = rayner.makeElement("mark");
    var before = chars.slice(0, offset).join("").length;
    range.setStart(node, before);
    range.setEnd(node, before + chars[offset].length);
    range.surroundContents(mark);
    return mark;
  }

  form.vertical.checked = rayner.choices.dir === "v";
  form.labels.checked = rayner.choices.labels !== "no";
  form.addEventListener("input", function (event) {
    if (event.target.name === "vertical") { rayner.saveChoice("dir", event.target.checked ? "v" : "h"); }
    if (event.target.name === "labels") { rayner.saveChoice("labels", event.target.checked ? "yes" : "no"); }
    closeCard();
    applyFilters();
  });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.hidden = false;
  form.querySelector("details").open = matchMedia("(min-width: 56.01rem)").matches;
  document.getElementById("keys").hidden = !marks.length;
  document.addEventListener("rayner-language", function () {
    if (marks[current]) { addTabStop(current); }
    if (opened >= 0) { fillCard(opened); }
    applyFilters();
  });
  rayner.reader = {
    text: text, marks: marks, votes: votes, markStarts: markStarts, firstOffset: firstOffset,
    endOffset: endOffset, length: length, visitTextNodes: visitTextNodes, markIndex: markIndex,
    placeBeside: placeBeside, closeCard: closeCard, focusMark: focusMark
  };
  addEventListener("hashchange", goToAddress);
  applyFilters();
  goToAddress();
})(window.rayner);
