// A page of a document: what is shown, the votes on an entity, the place that an address points to.
"use strict";
(function (rayner) {
  var text = document.getElementById("text"), card = document.getElementById("card");
  var form = document.querySelector(".filters"), status = document.getElementById("status");
  var marks = Array.from(text.getElementsByTagName("b"));
  var first = Number(text.dataset.start);
  var votes = unpack(JSON.parse(document.getElementById("votes").textContent));
  var at = -1, opened = -1, pinned = false, hiding = 0;

  /** Reads what `packed` of markup.py writes. */
  function unpack(packed) {
    var spelled = packed ? packed.split(" ") : [];
    return marks.map(function (mark, i) {
      var fields = spelled[i].split(","), asked = fields.length > 3, kind = Number(mark.className.slice(1));
      function number(j) { return fields[j] ? Number(fields[j]) / 1000 : null; }
      function type(j) { return fields[j] ? Number(fields[j]) : null; }
      return {
        kind: kind, by: mark.className[0], asked: asked, score: number(0), entropy: number(1),
        slm: fields.length > 2 ? type(2) : kind, llm: asked ? type(3) : null,
        category: asked ? number(4) : null, boundary: asked ? number(5) : null
      };
    });
  }

  /** How many code points a string has. */
  function length(string) { return string.length - (string.match(/[\ud800-\udbff][\udc00-\udfff]/g) || []).length; }

  /** Calls `see(node, offset)` with each text node and the offset in the document at which it begins. */
  function walk(see) {
    var walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT), offset = first;
    while (walker.nextNode()) {
      see(walker.currentNode, offset);
      offset += length(walker.currentNode.data);
    }
    return offset;
  }
  var starts = new Map(), end = walk(function (node, offset) {
    var mark = node.parentNode.closest("b");
    if (mark && !starts.has(mark)) { starts.set(mark, offset); }
  });

  // ---- what is shown

  function show() {
    var kinds = {}, by = {}, least = Number(form.minimum.value), shown = 0;
    form.querySelectorAll("[name=t]").forEach(function (box) { kinds[box.value] = box.checked; });
    form.querySelectorAll("[name=by]").forEach(function (box) { by[box.value] = box.checked; });
    marks.forEach(function (mark, i) {
      var vote = votes[i];
      var on = kinds[vote.kind] && by[vote.by] && (!least || (vote.score !== null && vote.score >= least));
      mark.classList.toggle("off", !on);
      shown += on;
    });
    document.getElementById("least").textContent = least.toFixed(2);
    status.textContent = rayner.say("shown_of", shown.toLocaleString("en"), marks.length.toLocaleString("en"));
    text.classList.toggle("vertical", form.vertical.checked);
    text.classList.toggle("plain", !form.labels.checked);
    if (marks[opened] && marks[opened].classList.contains("off")) { close(); }
    settle();
  }

  /** One of the entities shown is a stop of the Tab key. */
  function settle() {
    if (marks[at] && !marks[at].classList.contains("off")) { return; }
    if (marks[at]) { leave(at); }
    at = marks.findIndex(function (mark) { return !mark.classList.contains("off"); });
    if (marks[at]) { enter(at); }
  }
  function leave(i) {
    ["tabindex", "role", "aria-label", "aria-haspopup"].forEach(function (name) { marks[i].removeAttribute(name); });
  }
  function enter(i) {
    marks[i].tabIndex = 0;
    marks[i].setAttribute("role", "button");
    marks[i].setAttribute("aria-haspopup", "dialog");
    marks[i].setAttribute("aria-label", marks[i].textContent + ", " + describe(votes[i]));
  }
  function go(i, still) {
    if (!marks[i]) { return; }
    if (marks[at]) { leave(at); }
    at = i;
    enter(i);
    marks[i].focus({ preventScroll: still });
  }
  function step(by) {
    var i = at + by;
    while (marks[i] && marks[i].classList.contains("off")) { i += by; }
    go(i);
  }

  // ---- the votes

  function fixed(value) { return value === null ? "\u2013" : value.toFixed(3); }
  function type(number) { return number === null ? rayner.say("nothing") : rayner.kind(number); }
  function decided(vote) { return rayner.say({ a: "both_agree", s: "by_slm", l: "by_llm" }[vote.by]); }

  /** An entity in words, as describe() of rayner.report.tagged. */
  function describe(vote) {
    function said(name, kind, symbol, value) {
      var found = kind === null ? rayner.say("nothing") : rayner.types[kind];
      return rayner.say(name) + ": " + found + (value === null ? "" : " (" + symbol + " " + fixed(value) + ")");
    }
    var llm = vote.asked ? said("llm", vote.llm, "P", vote.category) : rayner.say("llm") + ": " + rayner.say("not_asked");
    var score = vote.score === null ? [] : [rayner.say("with_confidence", fixed(vote.score))];
    return [rayner.kind(vote.kind)].concat(score, decided(vote), said("slm", vote.slm, "H", vote.entropy), llm).join("; ");
  }
  rayner.describe = function (i) { return describe(votes[i]); };

  function fill(i) {
    var make = rayner.make, vote = votes[i], name = marks[i].textContent, start = starts.get(marks[i]);
    function row(head, cells) {
      return make("tr", {}, [make("th", { scope: "row", text: head })].concat(cells.map(function (cell) {
        return make("td", { text: cell });
      })));
    }
    var heads = ["", "slm", "llm"].map(function (key) { return make("th", { scope: "col", text: key && rayner.say(key) }); });
    var llm = vote.asked ? type(vote.llm) : rayner.say("not_asked");
    var rare = Array.from(name).map(rayner.codepoint).filter(Boolean);
    var dismiss = make("button", { type: "button", class: "close", "aria-label": rayner.say("close"), text: "\u00d7" });
    var title = make("span", { class: "name", lang: "lzh" });
    title.append(rayner.rare(name));
    dismiss.addEventListener("click", function () { close(true); });
    card.replaceChildren(
      dismiss,
      make("p", { class: "head" }, [title, make("span", {}, [
        make("span", { class: "swatch t" + vote.kind }), rayner.kind(vote.kind)])]),
      make("p", { text: decided(vote) }),
      vote.score === null ? "" : make("p", {}, [
        rayner.say("with_confidence", fixed(vote.score)),
        make("meter", { min: 0, max: 1, value: vote.score, "aria-label": rayner.say("confidence") })]),
      make("table", {}, [make("thead", {}, [make("tr", {}, heads)]), make("tbody", {}, [
        row(rayner.say("vote"), [type(vote.slm), llm]),
        row(rayner.say("entropy"), [fixed(vote.entropy), ""]),
        vote.asked && row(rayner.say("category"), ["", fixed(vote.category)]),
        vote.asked && row(rayner.say("boundary"), ["", fixed(vote.boundary)])])]),
      rare.length ? make("p", { text: rare.join("; ") }) : "",
      make("p", { text: rayner.say("place") + ": [" + start + ", " + (start + length(name)) + ")" }),
      make("p", { class: "links" }, [
        make("a", { href: "#c" + start, text: rayner.say("link_here") }),
        make("a", { href: rayner.up + "entities.html?" + new URLSearchParams({ q: name, type: vote.kind }),
                    text: rayner.say("all_places") })])
    );
  }

  function open(i, pin) {
    clearTimeout(hiding);
    if (pinned && !pin && i !== opened) { return; }
    if (opened !== i) {
      if (marks[opened]) { marks[opened].classList.remove("open"); }
      opened = i;
      fill(i);
    }
    pinned = pinned || pin;
    marks[i].classList.add("open");
    card.hidden = false;
    place(marks[i].getClientRects()[0] || marks[i].getBoundingClientRect());
  }
  /** Beside the entity, so that no line of it is covered and all of the card is seen. */
  function place(box) {
    var wide = card.offsetWidth, tall = card.offsetHeight, x = box.left, y = box.bottom + 8;
    if (text.classList.contains("vertical")) {
      x = box.left - wide - 12 > 4 ? box.left - wide - 12 : box.right + 12;
      y = box.top;
    } else if (y + tall > innerHeight - 4 && box.top - tall - 8 > 4) {
      y = box.top - tall - 8;
    }
    card.style.left = Math.max(4, Math.min(x, document.documentElement.clientWidth - wide - 4)) + "px";
    card.style.top = Math.max(4, Math.min(y, innerHeight - tall - 4)) + "px";
  }
  function close(back) {
    clearTimeout(hiding);
    if (marks[opened]) { marks[opened].classList.remove("open"); }
    if (back && marks[opened] && card.contains(document.activeElement)) { go(opened); }
    card.hidden = true;
    opened = -1;
    pinned = false;
  }
  function later() {
    if (!pinned) { hiding = setTimeout(close, 250); }
  }
  function numberOf(target) {
    var mark = target.closest && target.closest("#text b");
    return mark && !mark.classList.contains("off") ? marks.indexOf(mark) : -1;
  }

  text.addEventListener("mouseover", function (event) {
    var i = numberOf(event.target);
    if (i >= 0) { open(i, false); } else { later(); }
  });
  text.addEventListener("mouseleave", later);
  card.addEventListener("mouseenter", function () { clearTimeout(hiding); });
  card.addEventListener("mouseleave", later);
  text.addEventListener("click", function (event) {
    var i = numberOf(event.target);
    if (i < 0 || !getSelection().isCollapsed) { return; }
    pinned = false;
    go(i);
    open(i, true);
  });
  text.addEventListener("focusin", function (event) {
    var i = numberOf(event.target);
    if (i >= 0) { pinned = false; open(i, false); }
  });
  text.addEventListener("focusout", function (event) { if (!card.contains(event.relatedTarget)) { later(); } });
  document.addEventListener("click", function (event) {
    if (opened >= 0 && !card.contains(event.target) && numberOf(event.target) < 0) { close(); }
  });
  document.addEventListener("scroll", function () {
    if (opened >= 0) { place(marks[opened].getClientRects()[0]); }
  }, { passive: true, capture: true });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape" && opened >= 0) { close(true); }
  });
  text.addEventListener("keydown", function (event) {
    if (numberOf(event.target) < 0 || event.altKey || event.ctrlKey || event.metaKey) { return; }
    var forth = text.classList.contains("vertical") ? ["ArrowDown", "ArrowLeft"] : ["ArrowRight", "ArrowDown"];
    var back = text.classList.contains("vertical") ? ["ArrowUp", "ArrowRight"] : ["ArrowLeft", "ArrowUp"];
    if (forth.includes(event.key)) { step(1); }
    else if (back.includes(event.key)) { step(-1); }
    else if (event.key === "Home") { at = leave(at) || -1; step(1); }
    else if (event.key === "End") { leave(at); at = marks.length; step(-1); }
    else if (event.key === "Enter" || event.key === " ") {
      open(at, true);
      card.querySelector("a").focus();
    } else { return; }
    event.preventDefault();
  });
  // A wheel that turns one way only still moves vertical text along its lines.
  text.addEventListener("wheel", function (event) {
    if (!text.classList.contains("vertical") || event.deltaX || event.ctrlKey) { return; }
    var before = text.scrollLeft;
    text.scrollLeft -= event.deltaY;
    if (text.scrollLeft !== before) { event.preventDefault(); }
  }, { passive: false });

  // ---- the place that an address points to: #c and an offset in code points

  function arrive() {
    var found = /^#c(\d+)$/.exec(location.hash);
    document.querySelectorAll(".at").forEach(function (item) {
      item.classList.remove("at");
      item.removeAttribute("aria-current");
      if (item.tagName === "MARK") {
        item.replaceWith.apply(item, Array.from(item.childNodes));
        text.normalize();
      }
    });
    if (!found) { return; }
    var wanted = Number(found[1]), pages = text.dataset.starts.split(" ").map(Number), page = 0;
    while (page + 1 < pages.length && pages[page + 1] <= wanted) { page += 1; }
    if (pages[page] !== first) {
      var name = text.dataset.name + (page ? "-" + (page + 1) : "") + ".html";
      location.replace(rayner.carried(rayner.up + name) + location.hash);
      return;
    }
    if (wanted >= end) { return; }
    var target = null;
    walk(function (node, offset) {
      if (target || wanted >= offset + length(node.data)) { return; }
      target = node.parentNode.closest("b, i") || single(node, wanted - offset);
      target = target.closest("b") || target;
    });
    target.classList.add("at");
    target.setAttribute("aria-current", "true");
    target.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    if (target.tagName === "B") {
      target.classList.remove("off");
      go(marks.indexOf(target), true);
    }
  }
  /** The character of a text node at an offset, in an element of its own. */
  function single(node, offset) {
    var chars = Array.from(node.data), range = document.createRange(), mark = rayner.make("mark");
    var before = chars.slice(0, offset).join("").length;
    range.setStart(node, before);
    range.setEnd(node, before + chars[offset].length);
    range.surroundContents(mark);
    return mark;
  }

  form.vertical.checked = rayner.kept.dir === "v";
  form.labels.checked = rayner.kept.labels !== "no";
  form.addEventListener("input", function (event) {
    if (event.target.name === "vertical") { rayner.remember("dir", event.target.checked ? "v" : "h"); }
    if (event.target.name === "labels") { rayner.remember("labels", event.target.checked ? "yes" : "no"); }
    close();
    show();
  });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.hidden = false;
  form.querySelector("details").open = matchMedia("(min-width: 56.01rem)").matches;
  document.getElementById("keys").hidden = !marks.length;
  document.addEventListener("rayner-language", function () {
    if (marks[at]) { enter(at); }
    if (opened >= 0) { fill(opened); }
    show();
  });
  addEventListener("hashchange", arrive);
  show();
  arrive();
})(window.rayner);
