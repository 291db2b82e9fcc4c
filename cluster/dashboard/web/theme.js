// The theme: that of the system, unless the user has chosen one. Runs before the page is drawn, so that it does not flash.
'use strict';
(() => {
  const kChoices = ['auto', 'light', 'dark'];
  const saved = () => {
    try {
      return localStorage.getItem('jvmcluster.theme');
    } catch {
      return null;  // storage is switched off
    }
  };
  let choice = kChoices.includes(saved()) ? saved() : 'auto';

  function apply() {
    const root = document.documentElement;
    if (choice === 'auto') root.removeAttribute('data-theme');
    else root.setAttribute('data-theme', choice);
    const button = document.getElementById('theme');
    if (button) button.textContent = `Theme: ${choice}`;
    window.dispatchEvent(new Event('theme'));
  }

  apply();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
  addEventListener('DOMContentLoaded', () => {
    apply();
    document.getElementById('theme').addEventListener('click', () => {
      choice = kChoices[(kChoices.indexOf(choice) + 1) % kChoices.length];
      try {
        localStorage.setItem('jvmcluster.theme', choice);
      } catch { /* it holds for this page only */ }
      apply();
    });
  });
})();
