"""A script for tests in a browser."""

# The words that continue on another line.
BROKEN_WORDS = """selector => {
  const broken = [];
  document.querySelectorAll(selector).forEach(element => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      for (const match of walker.currentNode.data.matchAll(/(?<!\\S)[A-Za-z]+[.,:]?(?!\\S)/g)) {
        const range = document.createRange();
        range.setStart(walker.currentNode, match.index);
        range.setEnd(walker.currentNode, match.index + match[0].length);
        const tops = new Set(Array.from(range.getClientRects(), box => Math.round(box.top)));
        if (tops.size > 1) broken.push(match[0]);
      }
    }
  });
  return broken;
}"""
