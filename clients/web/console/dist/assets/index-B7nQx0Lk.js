const e=document.getElementById("root");e&&(e.textContent="Secret Service");
